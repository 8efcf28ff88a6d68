package main

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// The statements that the routes need at the least: a page with the exact total, one lead, a page of what a search finds.
const (
	bareColumns = ` lead_id::text, business_name, contact_first_name, contact_last_name, email, phone, industry, monthly_revenue::text,
  requested_amount::text, source, priority, tags, custom_fields, external_ids, stage_key, is_do_not_call, created_at, updated_at`
	bareListSQL = `
select (select count(*) from pipeline.leads where org_id = $1),` + bareColumns + `
from pipeline.leads
where org_id = $1
order by created_at desc, lead_id desc
limit 20 offset $2`
	bareGetSQL = `
select 1,` + bareColumns + `
from pipeline.leads
where org_id = $1
  and lead_id = $2`
	bareSearchSQL = `
select count(*) over (),` + bareColumns + `
from pipeline.leads
where org_id = $1
  and search @@ to_tsquery('simple', $2)
order by created_at desc, lead_id desc
limit 20`
)

// bareLead is what a handler without an API around it would send.
type bareLead struct {
	Total                                                           int64
	ID                                                              string
	Business, First, Last, Email, Phone, Industry, Revenue, Request *string
	Source, Priority                                                string
	Tags, Custom, External                                          json.RawMessage
	Stage                                                           string
	DoNotCall                                                       bool
	CreatedAt, UpdatedAt                                            any
}

// bareHandler answers the routes of leads with one statement each and the rows as JSON: no keys, limits, envelope or logs.
func bareHandler(pool *pgxpool.Pool, org uuid.UUID) http.Handler {
	answer := func(w http.ResponseWriter, r *http.Request, sql string, args ...any) {
		rows, err := pool.Query(r.Context(), sql, args...)
		if err != nil {
			http.Error(w, "query", http.StatusInternalServerError)
			return
		}
		leads, err := pgx.CollectRows(rows, pgx.RowToStructByPos[bareLead])
		if err != nil {
			http.Error(w, "rows", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(leads) // a client that has gone notices itself
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/leads", func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		if words := strings.Fields(query.Get("search")); len(words) > 0 {
			answer(w, r, bareSearchSQL, org, strings.Join(words, ":* & ")+":*")
			return
		}
		page, _ := strconv.Atoi(query.Get("page"))
		answer(w, r, bareListSQL, org, (max(page, 1)-1)*20)
	})
	mux.HandleFunc("GET /v1/leads/{id}", func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, bareGetSQL, org, r.PathValue("id"))
	})
	return mux
}
