package sandbox

import (
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

const dialedinMount = "/HttpImport/"

// Operations of DialedIn. Lead operations are told apart by their Action.
const (
	OpInsertLead = "insert_lead"
	OpUpdateLead = "update_lead"
	OpSearchLead = "search_lead"
	OpInsertDNC  = "insert_dnc"
	OpDeleteDNC  = "delete_dnc"
)

var tenDigits = regexp.MustCompile(`^[2-9][0-9]{2}[2-9][0-9]{6}$`)

func (d *DialedIn) routes(mux *http.ServeMux) {
	fixed := func(op string) func(*inbound) string { return func(*inbound) string { return op } }
	handle := func(script string, op func(*inbound) string, act func(*inbound, url.Values) reply) {
		mux.Handle(dialedinMount+script, d.box.serve(VendorDialedIn, op, d.checked(act)))
	}
	handle("InjectLead.php", fixed(OpInsertLead), d.insertLead)
	handle("UpdateLead.php", fixed(OpUpdateLead), d.updateLead)
	handle("LeadOperations.php", leadOperation, d.leadOperation)
	d.deskRoutes(mux)
	mux.Handle(dialedinMount, d.box.serve(VendorDialedIn, fixed(opUnknown), func(*inbound) reply {
		return htmlReply(http.StatusNotFound, "<html><body><h1>404 Not Found</h1></body></html>")
	}))
}

// form reads the parameters: those of the body, then those of the URL, as PHP's request variables do.
func form(in *inbound) url.Values {
	values := url.Values{}
	for name, v := range in.query {
		values[name] = v
	}
	kind, _, _ := mime.ParseMediaType(in.Header.Get("Content-Type"))
	if kind != "application/x-www-form-urlencoded" {
		return values
	}
	sent, err := url.ParseQuery(string(in.body))
	if err != nil {
		return values
	}
	for name, v := range sent {
		values[name] = v
	}
	return values
}

func leadOperation(in *inbound) string {
	switch form(in).Get("Action") {
	case "SearchLead":
		return OpSearchLead
	case "InsertDnc":
		return OpInsertDNC
	case "DeleteDnc":
		return OpDeleteDNC
	}
	return opUnknown
}

// checked refuses what the account refuses everywhere, and notes what a careful client would not do.
func (d *DialedIn) checked(act func(*inbound, url.Values) reply) action {
	return func(in *inbound) reply {
		if in.Method != http.MethodPost && in.Method != http.MethodGet {
			return htmlReply(http.StatusMethodNotAllowed, "Method Not Allowed")
		}
		if in.Method == http.MethodGet {
			in.violate("sent with GET")
		}
		if len(in.body) > 0 && !strings.HasPrefix(in.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
			in.violate("body is not a form")
		}
		values := form(in)
		for _, name := range []string{"PrimaryPhone", "Number", "Identifier", "Phone", "To", "Message"} {
			if in.query.Has(name) {
				in.violate("personal data in the url")
				break
			}
		}
		if values.Get("token") != d.box.secrets.dialedinToken || values.Get("accid") != d.box.secrets.dialedinAccID {
			return result("Invalid token or accid", 0)
		}
		return act(in, values)
	}
}

// result writes an outcome in one of the spellings that clients of the real service have met.
func result(text string, style int64) reply {
	var body string
	switch style % 4 {
	case 0:
		body = "<br><br>Result: " + text
	case 1:
		body = "<br><br>Result:  " + text
	case 2:
		body = "<br><br>Result: " + text + "\n"
	default:
		body = "<br/><br/>\nResult:  " + text + "\n"
	}
	return htmlReply(http.StatusOK, body)
}
