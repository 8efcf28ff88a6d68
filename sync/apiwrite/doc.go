// Package apiwrite says what a write through our own HTTP API is as a record of source api, and what such a record says in
// the pipeline's words. It knows no HTTP and no SQL: the api package checks requests and makes these payloads, the store
// keeps and folds them.
package apiwrite
