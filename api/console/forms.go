package console

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

// A form is believed when it comes from a page of ours: the browser says so (Sec-Fetch-Site or Origin), and it holds a word that
// only our pages know. Words are for one purpose and one session. Their key is drawn anew by each process: everybody may read the page
// to sign in, and a word made of the token would let them try tokens against it at home.

const (
	// formLife is for how long a page's forms can be sent.
	formLife = 12 * time.Hour
	// sessionLife is for how long a person stays signed in.
	sessionLife   = 12 * time.Hour
	sessionCookie = "trunkline_session"
	// maxForm is far more than any form of ours.
	maxForm = 16 << 10
	// The words that are signed say what for.
	forAction, forLogin, forSession = "action", "login", "session"
)

var (
	// ErrCrossOrigin means that another site's page sent a form.
	ErrCrossOrigin = errors.New("another site's page sent this")
	// ErrStaleForm means that a form is too old, or not ours.
	ErrStaleForm = errors.New("this page is too old to act from: go back, load it again, and look whether it still holds")
)

// sessionKey is made of the token, so that all daemons know each other's sessions and another token ends every one. What it signs is
// seen by who has given the token, and by nobody else.
func sessionKey(token vendorapi.Secret) []byte {
	mac := hmac.New(sha256.New, []byte(token.Reveal()))
	mac.Write([]byte("trunkline status page session 2"))
	return mac.Sum(nil)
}

// signed is a word that holds until its time is over, for what it is said to be, and for of.
func (s *Site) signed(what, of string, life time.Duration) string {
	until := strconv.FormatInt(s.cfg.DB.Now().Add(life).Unix(), 10)
	return until + "." + s.signature(what, of, until)
}

func (s *Site) signature(what, of, until string) string {
	key := s.formKey
	if what == forSession {
		key = s.sessionKey
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(what + "|" + until + "|" + of))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func (s *Site) holds(what, of, word string) bool {
	until, signature, ok := strings.Cut(word, ".")
	if !ok || subtle.ConstantTimeCompare([]byte(signature), []byte(s.signature(what, of, until))) != 1 {
		return false
	}
	end, err := strconv.ParseInt(until, 10, 64)
	return err == nil && s.cfg.DB.Now().Unix() < end
}

// session is the cookie of who has signed in, empty for others.
func session(r *http.Request) string {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return ""
	}
	return cookie.Value
}

// SignedIn tells whether the request comes from somebody who has given the admin token.
func (s *Site) SignedIn(r *http.Request) bool {
	return s.cfg.AdminToken != "" && s.holds(forSession, "", session(r))
}

// CheckForm tells whether a request that changes something comes from a page of ours; it fails with ErrCrossOrigin or ErrStaleForm.
// A request that names the admin token in its header comes from no form: no site can make a browser send that.
func (s *Site) CheckForm(w http.ResponseWriter, r *http.Request, bearer bool) error {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	if err := s.cross.Check(r); err != nil {
		return ErrCrossOrigin
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return ErrStaleForm
	}
	what, of := forAction, session(r)
	if r.URL.Path == loginPath {
		what, of = forLogin, ""
	}
	if !bearer && !s.holds(what, of, r.PostForm.Get("form")) {
		return ErrStaleForm
	}
	return nil
}

// failures slows down who guesses tokens: a few wrong ones, then one each second, for each peer.
type failures struct {
	mu    sync.Mutex
	peers map[string]failure
}

type failure struct {
	spent float64
	at    time.Time
}

const (
	failuresAtOnce = 10
	// peersKept bounds what is kept of peers; those beyond share one place.
	peersKept = 10_000
)

func (f failure) left(now time.Time) float64 { return max(0, f.spent-now.Sub(f.at).Seconds()) }

// allow tells whether another guess of a peer may be judged now.
func (f *failures) allow(peer string, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.peers[f.place(peer)].left(now) < failuresAtOnce
}

func (f *failures) add(peer string, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.peers == nil {
		f.peers = map[string]failure{}
	}
	if len(f.peers) >= peersKept {
		maps.DeleteFunc(f.peers, func(_ string, old failure) bool { return old.left(now) == 0 })
	}
	place := f.place(peer)
	f.peers[place] = failure{f.peers[place].left(now) + 1, now}
}

func (f *failures) place(peer string) string {
	if _, known := f.peers[peer]; !known && len(f.peers) >= peersKept {
		return ""
	}
	return peer
}

// peerOf is the address at the other end; of IPv6 the network, which is one person's.
func peerOf(r *http.Request) string {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	addr := at.Addr().Unmap()
	if addr.Is6() {
		if network, err := addr.WithZone("").Prefix(64); err == nil {
			return network.String()
		}
	}
	return addr.String()
}

// MayGuess tells whether the peer's token may be judged now. Whoever gives many wrong ones has to wait, with right ones too.
func (s *Site) MayGuess(r *http.Request) bool { return s.failures.allow(peerOf(r), s.cfg.DB.Now()) }

// WrongGuess counts a wrong token of the peer.
func (s *Site) WrongGuess(r *http.Request) { s.failures.add(peerOf(r), s.cfg.DB.Now()) }

const loginPath = "/ui/login"

type loginView struct {
	layout
	Next string
	// Word goes with its form.
	Word string
	// Wrong is why the last try failed.
	Wrong string
	// Off tells that there is no token to sign in with.
	Off bool
}

// LoginPath is where to sign in, and to be led on to where the request wanted to go.
func LoginPath(r *http.Request) string {
	return loginPath + "?" + url.Values{"next": {r.URL.RequestURI()}}.Encode()
}

func (s *Site) login(w http.ResponseWriter, r *http.Request) error {
	return s.loginPage(w, r, http.StatusOK, r.URL.Query().Get("next"), "")
}

func (s *Site) loginPage(w http.ResponseWriter, r *http.Request, code int, next, wrong string) error {
	view := loginView{layout: s.layout(r, "Sign in", ""), Next: localPath(next), Wrong: wrong, Off: s.cfg.AdminToken == "", Word: s.signed(forLogin, "", formLife)}
	view.Bare = true
	return s.render(w, code, "login", view)
}

func (s *Site) signIn(w http.ResponseWriter, r *http.Request) error {
	next := localPath(r.PostForm.Get("next"))
	if !s.MayGuess(r) {
		w.Header().Set("Retry-After", "1")
		return s.loginPage(w, r, http.StatusTooManyRequests, next, "Too many wrong tokens; wait a few seconds.")
	}
	given, want := sha256.Sum256([]byte(r.PostForm.Get("token"))), sha256.Sum256([]byte(s.cfg.AdminToken.Reveal()))
	if s.cfg.AdminToken == "" || subtle.ConstantTimeCompare(given[:], want[:]) != 1 {
		s.WrongGuess(r)
		return s.loginPage(w, r, http.StatusForbidden, next, "That is not the admin token.")
	}
	s.setCookie(w, r, s.signed(forSession, "", sessionLife), int(sessionLife/time.Second))
	http.Redirect(w, r, next, http.StatusSeeOther) //nolint:gosec // localPath lets it lead to pages of ours only
	return nil
}

func (s *Site) signOut(w http.ResponseWriter, r *http.Request) error {
	s.setCookie(w, r, "", -1)
	http.Redirect(w, r, "/ui/login", http.StatusSeeOther)
	return nil
}

func (s *Site) setCookie(w http.ResponseWriter, r *http.Request, value string, age int) {
	// Trunkline itself speaks plain HTTP; a proxy in front says whether the browser does not.
	secure := r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // over plain HTTP a secure cookie would never come back
		Name: sessionCookie, Value: value, Path: "/", MaxAge: age, HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: secure,
	})
}

// localPath lets nobody be led to another site.
func localPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return "/"
	}
	return next
}
