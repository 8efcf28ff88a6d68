package ipscape

// userColumns are those of ipscape.users, without the ones that every vendor table has.
var userColumns = [...]string{
	"user_id", "username", "first_name", "last_name", "email", "user_type", "timezone", "teams", "assigned_campaigns",
	"is_logged_in", "status", "time_in_status", "account_is_active",
}

// UserColumns returns the columns of ipscape.users in the order of a user's Values.
func UserColumns() []string { return append([]string(nil), userColumns[:]...) }

// user is an item of the users (contracts/ipscape.md 6.11). Teams and campaigns are texts whose separator nobody knows, and so
// is the time in status.
type user struct {
	id                                 number
	username, first, last, email, kind text
	timezone, teams, campaigns         text
	loggedIn                           boolean
	status, timeInStatus               text
	active                             boolean
}

// User converts one item of the users. It has no SourceTime: the vendor tells no times of users. The error is an *ItemError.
func (s Settings) User(raw []byte) (Item, error) {
	payload, cleaned, err := storable(raw)
	if err != nil {
		return unstorable(err, raw, s.parseUser, func(u *user) number { return u.id })
	}
	u, left, err := s.parseUser(payload)
	if err != nil {
		return Item{}, err
	}
	return Item{
		ObjectID: u.id.id(), Payload: payload, Cleaned: cleaned, Unread: left.unread, Unknown: left.unknown,
		Values: []any{
			u.id.any(), u.username.any(), u.first.any(), u.last.any(), u.email.any(), u.kind.any(), u.timezone.any(), u.teams.any(), u.campaigns.any(),
			u.loggedIn.any(), u.status.any(), u.timeInStatus.any(), u.active.any(),
		},
	}, nil
}

func (s Settings) parseUser(payload []byte) (*user, notes, error) {
	f := fields{decoder: decoder{b: payload}, zone: s.Zone}
	var u user
	if !f.enter() {
		return nil, notes{}, &ItemError{Reason: ReasonNotObject}
	}
	for f.next() {
		switch string(f.key) {
		case "userId":
			u.id = f.number("user_id")
		case "username":
			u.username = f.text("username")
		case "firstName":
			u.first = f.text("first_name")
		case "lastName":
			u.last = f.text("last_name")
		case "email":
			u.email = f.text("email")
		case "userType":
			u.kind = f.text("user_type")
		case "userTimezone":
			u.timezone = f.text("timezone")
		case "teams":
			u.teams = f.text("teams")
		case "assignedCampaigns":
			u.campaigns = f.text("assigned_campaigns")
		case "isLoggedIn":
			u.loggedIn = f.flag("is_logged_in")
		case "status":
			u.status = f.text("status")
		case "timeInStatus":
			u.timeInStatus = f.text("time_in_status")
		case "accountIsActive":
			u.active = f.flag("account_is_active")
		default:
			f.strange()
		}
	}
	if f.bad || !u.id.ok || u.id.v <= 0 {
		return nil, notes{}, &ItemError{Reason: ReasonNoID}
	}
	return &u, f.notes, nil
}
