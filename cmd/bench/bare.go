package main

import (
	"net/http"
	"strconv"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/trunkline/trunkline/store"
)

// bareHandler answers the routes of leads with the very statements that the API runs, the exact total included, and writes the
// bytes of the rows as they come: no keys, limits, checks, envelope, compression or logs.
func bareHandler(pool *pgxpool.Pool, org uuid.UUID) http.Handler {
	list, search, one := store.LeadStatements()
	answer := func(w http.ResponseWriter, r *http.Request, sql string, args pgx.StrictNamedArgs) {
		args["org_id"] = org
		rows, err := pool.Query(r.Context(), sql, args)
		if err != nil {
			http.Error(w, "query", http.StatusInternalServerError)
			return
		}
		defer rows.Close()
		var out []byte
		for rows.Next() {
			for _, value := range rows.RawValues() {
				out = append(append(out, value...), ',')
			}
		}
		if rows.Err() != nil || len(out) == 0 {
			http.Error(w, "rows", http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(out) // a client that has gone notices itself
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/leads", func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		page, _ := strconv.Atoi(query.Get("page"))
		args := pgx.StrictNamedArgs{"limit": 20, "offset": (max(page, 1) - 1) * 20}
		if text := query.Get("search"); text != "" {
			args["search"] = store.SearchWords(text)
			answer(w, r, search, args)
			return
		}
		answer(w, r, list, args)
	})
	mux.HandleFunc("GET /v1/leads/{id}", func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, one, pgx.StrictNamedArgs{"lead_id": r.PathValue("id")})
	})
	return mux
}
