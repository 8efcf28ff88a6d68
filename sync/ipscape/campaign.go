package ipscape

// campaignColumns are those of ipscape.campaigns, without the ones that every vendor table has.
var campaignColumns = [...]string{
	"campaign_id", "title", "description", "type", "group_name", "is_running", "allow_transfer_to_any_phone",
	"pay_settings_id", "merchant_alias",
}

// CampaignColumns returns the columns of ipscape.campaigns in the order of a campaign's Values.
func CampaignColumns() []string { return append([]string(nil), campaignColumns[:]...) }

// campaign is a row of the campaigns (contracts/ipscape.md 6.2).
type campaign struct {
	id                              number
	title, description, kind, group text
	running, transfer               boolean
	paySettings                     number
	merchant                        text
}

// Campaign converts one row of the campaigns. It has no SourceTime: the vendor does not tell when a campaign changed. The
// error is an *ItemError.
func (s Settings) Campaign(raw []byte) (Item, error) {
	payload, cleaned, err := storable(raw)
	if err != nil {
		return unstorable(err, raw, s.parseCampaign, func(c *campaign) number { return c.id })
	}
	c, left, err := s.parseCampaign(payload)
	if err != nil {
		return Item{}, err
	}
	return Item{
		ObjectID: c.id.id(), Payload: payload, Cleaned: cleaned, Unread: left.unread, Unknown: left.unknown,
		Values: []any{
			c.id.any(), c.title.any(), c.description.any(), c.kind.any(), c.group.any(), c.running.any(), c.transfer.any(),
			c.paySettings.any(), c.merchant.any(),
		},
	}, nil
}

func (s Settings) parseCampaign(payload []byte) (*campaign, notes, error) {
	f := fields{decoder: decoder{b: payload}, zone: s.Zone}
	var c campaign
	if !f.enter() {
		return nil, notes{}, &ItemError{Reason: ReasonNotObject}
	}
	for f.next() {
		switch string(f.key) {
		case "campaignId":
			c.id = f.number("campaign_id")
		case "campaignTitle":
			c.title = f.text("title")
		case "campaignDescription":
			c.description = f.text("description")
		case "campaignType":
			c.kind = f.text("type")
		case "campaignGroupName":
			c.group = f.text("group_name")
		case "isRunning":
			c.running = f.flag("is_running")
		case "allowTransferToAnyPhone":
			c.transfer = f.flag("allow_transfer_to_any_phone")
		case "ipScapePayDetails":
			c.pay(&f)
		default:
			f.strange()
		}
	}
	if f.bad || !c.id.ok || c.id.v <= 0 {
		return nil, notes{}, &ItemError{Reason: ReasonNoID}
	}
	return &c, f.notes, nil
}

// pay reads the payment settings, which are null or [] where payments are off.
func (c *campaign) pay(f *fields) {
	c.paySettings, c.merchant = number{}, text{}
	if !f.enter() {
		return
	}
	for f.next() {
		switch string(f.key) {
		case "paySettingsId":
			c.paySettings = f.number("pay_settings_id")
		case "merchantAlias":
			c.merchant = f.text("merchant_alias")
		default:
			f.strange()
		}
	}
}
