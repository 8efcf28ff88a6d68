package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// SeveralError means that several leads have the phone or address, so that it does not say who is meant.
type SeveralError struct{ Leads []uuid.UUID }

// Error counts them.
func (e *SeveralError) Error() string { return fmt.Sprintf("%d leads have it", len(e.Leads)) }

// Known is by what a person is known.
type Known struct {
	Leads []uuid.UUID
	// Phones are in E.164.
	Phones, Emails []string
	// Spelt are texts that stand for phones of theirs at ipSCAPE, among others.
	Spelt []string
}

// What ipSCAPE calls the phones of a lead is its business; see sync/ipscape.
const phonesSpeltSQL = `
select distinct p.value #>> '{}'
from ipscape.leads l
cross join lateral jsonb_path_query(l.phones, '$.**') as p (value)
where l.org_id = @org and 'ipscape_lead|' || l.account_id || '|' || l.lead_id = any(@leads) and jsonb_typeof(p.value) in ('string', 'number')
order by 1`

// Known tells by which phones and addresses, that nobody else has, a person is known. It fails with SeveralError.
func (e *Eraser) Known(ctx context.Context, org uuid.UUID, who Identity) (Known, error) {
	var known Known
	err := e.DB.InTx(ctx, func(tx pgx.Tx) error {
		p, err := e.find(ctx, tx, org, who, nil)
		if err != nil {
			return err
		}
		known = Known{Leads: p.leads, Phones: p.phones(), Emails: p.emails()}
		leads := []string{}
		for n := range p.names {
			if n.Kind == string(pipeline.KeyIPSCAPELead) {
				leads = append(leads, n.text())
			}
		}
		rows, err := tx.Query(ctx, phonesSpeltSQL, pgx.StrictNamedArgs{"org": org, "leads": leads})
		if err != nil {
			return err
		}
		known.Spelt, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err != nil {
		return Known{}, fmt.Errorf("looking for whom to erase: %w", Quiet(err))
	}
	return known, nil
}

// find is findPerson with all their names. More than one lead is an error unless the order says otherwise.
func (e *Eraser) find(ctx context.Context, tx pgx.Tx, org uuid.UUID, who Identity, of []int64) (*person, error) {
	if !who.key().names() {
		return nil, errors.New("it is no phone and no e-mail address")
	}
	p, err := findPerson(ctx, tx, org, who.key(), of)
	if err != nil {
		return nil, err
	}
	var leads []uuid.UUID
	rows, err := tx.Query(ctx, leadsThereSQL, pgx.StrictNamedArgs{"org": org, "leads": p.leads})
	if err == nil {
		leads, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	}
	if err != nil {
		return nil, fmt.Errorf("finding the leads: %w", err)
	}
	if len(leads) > 1 && !who.All {
		return nil, &SeveralError{leads}
	}
	return p, p.addTold(ctx, tx, e.DB.Erased.Facts)
}

const leadsThereSQL = `
select lead_id
from pipeline.leads
where org_id = @org and lead_id = any(@leads)
order by lead_id`
