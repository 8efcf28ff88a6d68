package sandbox

import (
	"fmt"
	"strings"
)

const (
	hexDigits = "0123456789abcdef"
	alnum     = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"
)

// Names that the sandbox's DialedIn account starts with.
const (
	DialedInCampaign    = "Funding Desk"
	DialedInSubcampaign = "Web"
)

// secrets are the credentials of one sandbox. They look like the vendors' own and are easy to search for in logs.
type secrets struct {
	ipscapeToken  string
	dialedinToken string
	dialedinAccID string
	widgetKey     string
	convoloKey    string
	orgToken      string
	lendworksKey  string
	webhookSecret string
	convosoToken  string
}

func newSecrets(seed uint64) secrets {
	r := newRNG(seed, "secrets")
	hex := func(n int) string { return r.text(hexDigits, n) }
	return secrets{
		ipscapeToken:  "sbxips" + r.text(alnum, 34),
		dialedinToken: fmt.Sprintf("%s-%s-4%s-a%s-%s", hex(8), hex(4), hex(3), hex(3), hex(12)),
		dialedinAccID: "brokerage" + r.text("abcdefghijkmnpqrstuvwxyz", 15),
		widgetKey:     hex(32),
		convoloKey:    "sbxcvl" + r.text(alnum, 34),
		orgToken:      "sbxorg" + r.text(alnum, 37),
		lendworksKey:  "lw_sbx01_" + r.text(alnum, 40),
		webhookSecret: "whsec_sbx" + r.text(alnum, 32),
		convosoToken:  "sbxcvs" + r.text(alnum, 34),
	}
}

// hidden are the values that may never stand in a URL. The widget key is an identifier, yet together with the others it
// has no business in a query either.
func (s secrets) hidden() []string {
	return []string{s.ipscapeToken, s.dialedinToken, s.dialedinAccID, s.widgetKey, s.convoloKey, s.orgToken, s.lendworksKey, s.webhookSecret, s.convosoToken}
}

// Env is the environment that points a daemon at this sandbox, served at baseURL ("http://host:port"): the names of the
// daemon's own settings, with rates that do not slow a test. Dialling and writing are on, since nobody is rung here.
func (s *Sandbox) Env(baseURL string) map[string]string {
	base := strings.TrimRight(baseURL, "/")
	env := map[string]string{
		"IPSCAPE_BASE_URL":         base + ipscapeMount,
		"IPSCAPE_TOKEN":            s.secrets.ipscapeToken,
		"IPSCAPE_RATE":             "0",
		"IPSCAPE_WRITES":           "true",
		"DIALEDIN_BASE_URL":        base + dialedinMount,
		"DIALEDIN_TOKEN":           s.secrets.dialedinToken,
		"DIALEDIN_ACCID":           s.secrets.dialedinAccID,
		"DIALEDIN_CAMPAIGN":        DialedInCampaign,
		"DIALEDIN_SUBCAMPAIGN":     DialedInSubcampaign,
		"DIALEDIN_DIAL":            "true",
		"DIALEDIN_RATE":            "1000",
		"DIALEDIN_RECONCILE_DELAY": "2s",
		"CONVOLO_URL":              base + convoloPath,
		"CONVOLO_WIDGET_KEY":       s.secrets.widgetKey,
		"CONVOLO_API_KEY":          s.secrets.convoloKey,
		"CONVOLO_RATE":             "1000",
		"CONVOSO_ORG_TOKEN":        s.secrets.orgToken,
		"LENDWORKS_BASE_URL":       base + lendworksMount,
		"LENDWORKS_API_KEY":        s.secrets.lendworksKey,
		"LENDWORKS_RATE":           "1000",
		"LENDWORKS_WEBHOOK_SECRET": s.secrets.webhookSecret,
	}
	for group, script := range DialedInScripts() {
		env["DIALEDIN_SCRIPT_"+group] = script
	}
	return env
}

// PostTo names the daemon ("http://host:port") whose receivers get what the vendors send by themselves: the webhooks of
// Convolo and LendWorks, from now on. Convoso's posts go when they are told to (Convoso.PostAll and the like).
func (s *Sandbox) PostTo(daemon string) {
	daemon = strings.TrimRight(daemon, "/")
	s.convolo.SetWebhook(daemon + "/v1/dialer/convolo/" + s.secrets.orgToken)
	s.lendworks.SetWebhook(daemon + "/v1/webhooks/lendworks/" + s.secrets.orgToken)
}
