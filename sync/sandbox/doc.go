// Package sandbox plays the vendors Trunkline talks to: ipSCAPE, DialedIn, Convolo and Convoso as real HTTP servers with
// state, seeded data, a log of what was asked, and faults to order. Tests, `trunkline demo` and `trunkline sandbox` use it.
//
// Everything in it is made up and follows from Options.Seed and the clock handed in: two sandboxes with the same options
// hold the same leads, calls, posts and secrets. Shapes follow the vendors' own documents, their inconsistencies included,
// since it is those a client has to survive.
package sandbox
