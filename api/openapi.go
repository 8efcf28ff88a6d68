package api

import (
	_ "embed"
	"net/http"
)

// openapiDocument describes every route, in OpenAPI 3.1. It is kept by hand; openapi_test.go holds it and the server together:
// each route is in it, each of its paths is a route, and every answer that a test of this package gets is valid by it.
//
//go:embed openapi.json
var openapiDocument []byte

// openapi is GET /v1/openapi.json.
func (s *Server) openapi(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(openapiDocument)
	return nil
}
