// Package dialedin pushes leads to DialedIn CCaaS (formerly ChaseData) and judges what it answers. An inserted lead may be
// dialled within moments and nothing can be taken back, so every answer is sorted into what is known of its effect; a 200
// proves nothing here. Field names and meanings follow contracts/dialedin.md.
package dialedin
