package deliver_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/deliver"
	"github.com/trunkline/trunkline/sync/pipeline"
)

func TestPreviewSaysAllAndDoesNothing(t *testing.T) {
	r := newRig(t)
	e := r.engine(deliver.Settings{})
	lead, phone := r.lead()
	d := pipeline.Delivery{
		Org: r.org, Account: "default", Destination: "dialedin", Operation: "dial_lead", Class: deliver.Rings, LeadID: lead,
		Phone: phone, SourceTime: noon,
	}
	p, err := e.Preview(context.Background(), d)
	if err != nil || !p.WouldSend || !p.WouldRing || p.Request != "to +*********01" || p.Phone != phone {
		t.Errorf("preview = %+v, %v", p, err)
	}
	r.clock.Advance(12 * time.Hour)
	r.exec(`insert into pipeline.do_not_call values ($1, $2, 'DNC', 'convoso', now(), null, 'e', now())`, r.org, phone)
	p, err = e.Preview(context.Background(), d)
	if err != nil || p.WouldSend || p.WouldRing || p.Request == "" || p.Change.State != pipeline.DeliveryCancelled {
		t.Errorf("preview = %+v, %v", p, err)
	}
	for _, verdict := range []string{`"do_not_call":"opted out: phone"`, `"call_window":"closed"`} {
		if !strings.Contains(string(p.Checks), verdict) {
			t.Errorf("checks %s lack %s", p.Checks, verdict)
		}
	}
	if n := r.count(`select count(*) from ops.deliveries`); n != 0 {
		t.Errorf("%d deliveries were written", n)
	}
}
