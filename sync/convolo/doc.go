// Package convolo starts calls through Convolo Leads (now Brightcall) and judges what it answers. A started call cannot be
// taken back and a repeated request is a second call, so a request is sent once, and whatever may have rung is unknown until a
// webhook with our reference, or a person, decides. Names and meanings follow contracts/convolo.md.
package convolo
