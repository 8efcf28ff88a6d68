// Package api is HTTP in: the routes of the LendWorks contract, the receivers of the diallers' posts, and the ops routes.
//
// Every request passes one chain: request id, recovery from panics, access log, credentials, level, handler. Handlers
// return errors; one writer turns them into the contract's envelope (contracts/lendworks.md section 3). Paths never reach
// a log, a metric or an error, for a receiver's path holds its token: the route's pattern stands for them.
package api
