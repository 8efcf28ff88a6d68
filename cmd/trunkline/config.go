package main

import (
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// config is everything the environment says. Every leaf has an env tag of go-envconfig (name and default) and a help tag
// (meaning, units); `trunkline config` prints both. A secret is also read from the file that NAME_FILE names.
type config struct {
	General  generalConfig
	IPSCAPE  ipscapeConfig
	DialedIn dialedinConfig
	Convolo  convoloConfig
	Convoso  convosoConfig
	// LendWorks is both a destination and a source.
	LendWorks lendworksConfig
	Tracing   tracingConfig
}

type generalConfig struct {
	DatabaseURL       vendorapi.Secret `env:"DATABASE_URL" help:"Postgres to use; empty starts a private one in TRUNKLINE_DATA_DIR"`
	DatabaseDirectURL vendorapi.Secret `env:"DATABASE_DIRECT_URL" help:"the same database without a pooler, for jobs and migrations; empty takes DATABASE_URL"`
	ReadDatabaseURL   vendorapi.Secret `env:"TRUNKLINE_READ_DATABASE_URL" help:"a replica of the same database, for what the API only reads, and for exports; empty reads from DATABASE_URL"`
	DataDir           string           `env:"TRUNKLINE_DATA_DIR, default=.trunkline" help:"directory of the private Postgres"`
	PGBin             string           `env:"TRUNKLINE_PG_BIN" help:"directory of Postgres' programs; empty looks in the usual places"`

	HTTPAddr   hostPort         `env:"TRUNKLINE_HTTP_ADDR, default=127.0.0.1:8080" help:"address the API listens on; port 0 takes a free one"`
	AdminToken vendorapi.Secret `env:"TRUNKLINE_ADMIN_TOKEN" help:"opens ops routes from anywhere; without it they answer this machine only"`
	APIKey     vendorapi.Secret `env:"TRUNKLINE_API_KEY" help:"full API key of the default organisation, beside those of trunkline apikey"`

	LogLevel    logLevel   `env:"TRUNKLINE_LOG_LEVEL, default=info" help:"debug, info, warn or error"`
	LogFormat   logFormat  `env:"TRUNKLINE_LOG_FORMAT, default=auto" help:"auto (tint on a terminal, else json), json or text"`
	Roles       roles      `env:"TRUNKLINE_ROLES, default=api,worker,scheduler" help:"what this daemon does: api, worker, scheduler"`
	StopTimeout span       `env:"TRUNKLINE_STOP_TIMEOUT, default=45s" help:"budget of a gentle stop"`
	Timezone    zone       `env:"TRUNKLINE_TIMEZONE, default=UTC" help:"zone of local days and of today"`
	Push        routes     `env:"TRUNKLINE_PUSH" help:"where new leads go: DEST[:k=v&k=v], comma list; empty pushes nothing"`
	CallWindow  callWindow `env:"TRUNKLINE_CALL_WINDOW, default=08:00-21:00" help:"when people may be called, by their own clock; 00:00-24:00 = always; set, it replaces the rules of states"`
	DialQuiet   duration   `env:"TRUNKLINE_DIAL_QUIET, default=30s" help:"rest of a phone after any dialler dialled it, before it is made to ring; 0 = none"`
	MaxAge      span       `env:"TRUNKLINE_DELIVERY_MAX_AGE, default=24h" help:"older leads are not pushed by themselves"`
	Region      country    `env:"TRUNKLINE_DEFAULT_REGION, default=US" help:"country of phone numbers without country code"`
	History     span       `env:"TRUNKLINE_RETENTION_HISTORY, default=2160h" help:"how long replaced versions are kept"`
	Inbox       span       `env:"TRUNKLINE_RETENTION_INBOX, default=720h" help:"how long settled posts are kept"`

	WebhookCIDRs   networks `env:"TRUNKLINE_WEBHOOK_ALLOW_CIDRS" help:"private networks that webhooks may go to, such as 10.1.0.0/16, comma list; plain http only there"`
	WebhookKeyFile string   `env:"TRUNKLINE_WEBHOOK_KEY_FILE" help:"key that seals webhook secrets, made on first use; empty takes webhook.key in TRUNKLINE_DATA_DIR"`
	ErasureKeyFile string   `env:"TRUNKLINE_ERASURE_KEY_FILE" help:"key by which erased people are recognised, made on first use; empty takes erasure.key in TRUNKLINE_DATA_DIR"`
	WebhooksKept   span     `env:"TRUNKLINE_RETENTION_WEBHOOKS, default=720h" help:"how long webhook events and their deliveries are kept"`
}

type ipscapeConfig struct {
	BaseURL      webURL           `env:"IPSCAPE_BASE_URL" help:"such as https://tenant.onipscape.com/platform-api"`
	Token        vendorapi.Secret `env:"IPSCAPE_TOKEN" help:"API token; without it ipSCAPE is off"`
	AuthHeader   string           `env:"IPSCAPE_AUTH_HEADER, default=Authorization" help:"header that carries the token"`
	AuthPrefix   headerPrefix     `env:"IPSCAPE_AUTH_PREFIX, default=Bearer " help:"text before the token, with its blank; set to nothing = none"`
	ExtraHeaders pairs            `env:"IPSCAPE_EXTRA_HEADERS" help:"further headers, Name=value, comma list"`
	Timezone     zone             `env:"IPSCAPE_TIMEZONE, default=Australia/Sydney" help:"zone of times that name none"`
	Region       country          `env:"IPSCAPE_REGION, default=AU" help:"country of phone numbers without country code"`
	Rate         rate             `env:"IPSCAPE_RATE, default=2" help:"requests a second; 0 = unlimited"`
	Timeout      span             `env:"IPSCAPE_TIMEOUT, default=25s" help:"limit of one request"`
	Writes       bool             `env:"IPSCAPE_WRITES, default=false" help:"true lets opt-outs complete leads there, and allows trunkline vendor ipscape what writes, rings or deletes"`
	Start        span             `env:"IPSCAPE_START, default=720h" help:"how far the first sync reaches back"`
	Settle       duration         `env:"IPSCAPE_SETTLE, default=60s" help:"the youngest time is not read yet"`
	Overlap      duration         `env:"IPSCAPE_OVERLAP, default=15m" help:"how much of the covered time each tick reads again"`
	Lookback     span             `env:"IPSCAPE_LOOKBACK, default=48h" help:"how far the hourly second look reaches back"`
	Rescan       span             `env:"IPSCAPE_RESCAN, default=336h" help:"how far the daily second look reaches back"`
	MissingMax   share            `env:"IPSCAPE_MISSING_MAX, default=0.2" help:"if a complete read lacks a larger share of a list, nothing is marked as missing"`
	MaxPages     count            `env:"IPSCAPE_MAX_PAGES, default=100000" help:"ceiling of one walk"`
	Activities   cronSpec         `env:"IPSCAPE_SCHEDULE_ACTIVITIES, default=@every 1m" help:"cron, @every or off"`
	Leads        cronSpec         `env:"IPSCAPE_SCHEDULE_LEADS, default=@every 1m" help:"cron, @every or off"`
	DialAttempts cronSpec         `env:"IPSCAPE_SCHEDULE_DIAL_ATTEMPTS, default=@every 1m" help:"cron, @every or off"`
	LeadLists    cronSpec         `env:"IPSCAPE_SCHEDULE_LEAD_LISTS, default=@every 1h" help:"cron, @every or off; the whole list each time"`
	Campaigns    cronSpec         `env:"IPSCAPE_SCHEDULE_CAMPAIGNS, default=@every 1h" help:"cron, @every or off; the whole list, and their statistics after it"`
	Users        cronSpec         `env:"IPSCAPE_SCHEDULE_USERS, default=@every 1h" help:"cron, @every or off; the whole list each time"`
	LookbackAt   cronSpec         `env:"IPSCAPE_SCHEDULE_LOOKBACK, default=@every 1h" help:"cron, @every or off"`
	RescanAt     cronSpec         `env:"IPSCAPE_SCHEDULE_RESCAN, default=@daily" help:"cron, @every or off"`
	SweepAt      cronSpec         `env:"IPSCAPE_SCHEDULE_SWEEP, default=@daily" help:"cron, @every or off; one pass over all leads"`
	DriftAt      cronSpec         `env:"IPSCAPE_SCHEDULE_DRIFT, default=@every 6h" help:"cron, @every or off; compares a sample of activities and leads with the vendor"`
	DriftSample  count            `env:"IPSCAPE_DRIFT_SAMPLE, default=50" help:"how many stored objects of each a comparison takes"`
	Paths        prefixed         `env:"IPSCAPE_PATH_<OPERATION>" help:"path of an operation"`
	Methods      prefixed         `env:"IPSCAPE_METHOD_<OPERATION>" help:"HTTP method of an operation that writes"`
	FilterLayout timeLayout       `env:"IPSCAPE_FILTER_LAYOUT, default=2006-01-02T15:04:05Z07:00" help:"how times in filters are written: a Go time layout"`
	FilterZone   zone             `env:"IPSCAPE_FILTER_TIMEZONE, default=UTC" help:"zone of times in filters"`
	FilterBools  boolSpelling     `env:"IPSCAPE_FILTER_BOOLEANS, default=true/false" help:"how yes and no in filters are written: true/false or 1/0"`
	CursorAlone  bool             `env:"IPSCAPE_CURSOR_ALONE, default=false" help:"true sends a cursor without the filters"`
	CampaignPage string           `env:"IPSCAPE_CAMPAIGNS_PAGE, default=pageNo" help:"parameter by which a further page of campaigns is asked for"`
	BulkSize     count            `env:"IPSCAPE_BULK_SIZE, default=500" help:"leads in one request of bulk_create_leads"`
}

type dialedinConfig struct {
	BaseURL         webURL           `env:"DIALEDIN_BASE_URL, default=https://api.chasedatacorp.com/HttpImport/" help:"folder of the scripts"`
	Token           vendorapi.Secret `env:"DIALEDIN_TOKEN" help:"API token; without it DialedIn is off"`
	AccID           string           `env:"DIALEDIN_ACCID" help:"account id"`
	Campaign        string           `env:"DIALEDIN_CAMPAIGN" help:"campaign of inserted leads; must exist"`
	Subcampaign     string           `env:"DIALEDIN_SUBCAMPAIGN" help:"sub-campaign; empty sends none"`
	Dial            bool             `env:"DIALEDIN_DIAL, default=false" help:"true dials inserted leads, false only imports them"`
	DuplicatesCheck choice03         `env:"DIALEDIN_DUPLICATES_CHECK, default=2" help:"0 same campaign, 1 allow, 2 all campaigns, 3 same sub-campaign"`
	CheckHours      bool             `env:"DIALEDIN_CHECK_HOURS, default=true" help:"have DialedIn check calling hours too"`
	Fields          fieldMap         `env:"DIALEDIN_FIELDS" help:"our=theirs, comma list"`
	Rate            rate             `env:"DIALEDIN_RATE, default=2" help:"requests a second; 0 = unlimited"`
	Timeout         span             `env:"DIALEDIN_TIMEOUT, default=15s" help:"limit of one request"`
	ReconcileDelay  span             `env:"DIALEDIN_RECONCILE_DELAY, default=30s" help:"wait before an unknown insert is searched for"`
	Patterns        prefixed         `env:"DIALEDIN_PATTERN_<CLASS>" help:"pattern of a class of answers"`
	Scripts         prefixed         `env:"DIALEDIN_SCRIPT_<GROUP>" help:"script of a group of operations"`
}

type convoloConfig struct {
	URL         webURL           `env:"CONVOLO_URL, default=https://app.convolo.ai/rest/v1/ext/add_call_api/" help:"address of the call request"`
	WidgetKey   vendorapi.Secret `env:"CONVOLO_WIDGET_KEY" help:"widget key; without it Convolo is off"`
	APIKey      vendorapi.Secret `env:"CONVOLO_API_KEY" help:"the widget's API key"`
	Country     country          `env:"CONVOLO_COUNTRY, default=US" help:"country sent with numbers"`
	Rate        rate             `env:"CONVOLO_RATE, default=1" help:"requests a second; 0 = unlimited"`
	Timeout     span             `env:"CONVOLO_TIMEOUT, default=15s" help:"limit of one request"`
	Agents      agents           `env:"CONVOLO_AGENTS" help:"name:phone, comma list, called in place of the widget's group"`
	WebhookWait span             `env:"CONVOLO_WEBHOOK_WAIT, default=24h" help:"how long an unknown call waits for a webhook"`
}

type convosoConfig struct {
	OrgToken     vendorapi.Secret `env:"CONVOSO_ORG_TOKEN" help:"receiver token of the default organisation; else trunkline org token makes one"`
	Timezone     zone             `env:"CONVOSO_TIMEZONE, default=America/Los_Angeles" help:"zone of dates that name none"`
	Aliases      string           `env:"CONVOSO_ALIASES" help:"canonical=key, comma list"`
	DNCCodes     string           `env:"CONVOSO_DNC_CODES" help:"further opt-out codes; CODE, CODE* or -CODE, comma list"`
	Dispositions string           `env:"CONVOSO_DISPOSITIONS" help:"CODE=our_code, comma list"`
	APIURL       webURL           `env:"CONVOSO_API_URL" help:"address of the call log, such as https://api.convoso.com/v1/log/retrieve; with CONVOSO_AUTH_TOKEN it brings back calls whose posts were lost"`
	AuthToken    vendorapi.Secret `env:"CONVOSO_AUTH_TOKEN" help:"API token; without it the call log is not read"`
	Rate         rate             `env:"CONVOSO_RATE, default=1" help:"requests a second for the call log; 0 = unlimited"`
	Timeout      span             `env:"CONVOSO_TIMEOUT, default=25s" help:"limit of one request"`
	Start        span             `env:"CONVOSO_START, default=24h" help:"how far the first reading of the call log reaches back"`
	CallLog      cronSpec         `env:"CONVOSO_SCHEDULE_CALL_LOG, default=@every 15m" help:"cron, @every or off"`
	LookbackAt   cronSpec         `env:"CONVOSO_SCHEDULE_LOOKBACK, default=@every 6h" help:"cron, @every or off; a second look of two days, for dispositions given late"`
	AllowCIDRs   networks         `env:"CONVOSO_ALLOW_CIDRS" help:"networks that may post as Convoso, such as 66.85.240.0/21, comma list; empty lets any"`
}

type lendworksConfig struct {
	BaseURL       webURL           `env:"LENDWORKS_BASE_URL, default=https://api.lend.works" help:"address of the API, without /v1"`
	APIKey        vendorapi.Secret `env:"LENDWORKS_API_KEY" help:"API key; without it LendWorks is off"`
	Rate          rate             `env:"LENDWORKS_RATE, default=1.5" help:"requests a second; 0 = unlimited"`
	Timeout       span             `env:"LENDWORKS_TIMEOUT, default=15s" help:"limit of one request"`
	WebhookSecret vendorapi.Secret `env:"LENDWORKS_WEBHOOK_SECRET" help:"signing secret of LendWorks' webhooks; without it none is taken"`
	Start         span             `env:"LENDWORKS_START, default=720h" help:"how far the first sync reaches back"`
	Settle        duration         `env:"LENDWORKS_SETTLE, default=30s" help:"the youngest time is not read yet"`
	Overlap       duration         `env:"LENDWORKS_OVERLAP, default=15m" help:"how much of the covered time each tick reads again"`
	Lookback      span             `env:"LENDWORKS_LOOKBACK, default=48h" help:"how far the hourly second look reaches back"`
	Rescan        span             `env:"LENDWORKS_RESCAN, default=720h" help:"how far the daily second look reaches back"`
	Leads         cronSpec         `env:"LENDWORKS_SCHEDULE_LEADS, default=@every 1m" help:"cron, @every or off"`
	LookbackAt    cronSpec         `env:"LENDWORKS_SCHEDULE_LOOKBACK, default=@every 1h" help:"cron, @every or off"`
	RescanAt      cronSpec         `env:"LENDWORKS_SCHEDULE_RESCAN, default=@daily" help:"cron, @every or off"`
}

// tracingConfig is what we read of OpenTelemetry's own environment. What else there is of it, its library reads.
type tracingConfig struct {
	Exporter       exporterName     `env:"OTEL_TRACES_EXPORTER" help:"otlp or none; empty takes otlp where an endpoint is set, else none"`
	Endpoint       httpURL          `env:"OTEL_EXPORTER_OTLP_ENDPOINT" help:"collector of traces, such as http://127.0.0.1:4318; /v1/traces is added; empty sends none"`
	TracesEndpoint httpURL          `env:"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" help:"the same as a whole address, to which nothing is added; goes before it"`
	Headers        vendorapi.Secret `env:"OTEL_EXPORTER_OTLP_HEADERS" help:"headers for the collector, name=value, percent-encoded, comma list"`
	TracesHeaders  vendorapi.Secret `env:"OTEL_EXPORTER_OTLP_TRACES_HEADERS" help:"the same for traces alone; goes before it"`
	Protocol       string           `env:"OTEL_EXPORTER_OTLP_PROTOCOL, default=http/protobuf" help:"http/protobuf or http/json"`
	TracesProtocol string           `env:"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL" help:"the same for traces alone; goes before it"`
	Service        string           `env:"OTEL_SERVICE_NAME, default=trunkline" help:"what the collector is told that this is"`
	Disabled       bool             `env:"OTEL_SDK_DISABLED, default=false" help:"true sends no traces, whatever else is set"`
}
