package ipscape

// leadListColumns are those of ipscape.lead_lists, without the ones that every vendor table has.
var leadListColumns = [...]string{"list_id", "name", "campaign_id", "campaign_name", "in_dialler", "weight", "created_at"}

// LeadListColumns returns the columns of ipscape.lead_lists in the order of a list's Values.
func LeadListColumns() []string { return append([]string(nil), leadListColumns[:]...) }

// leadList is an item of the lead lists (contracts/ipscape.md 6.8).
type leadList struct {
	id           number
	name         text
	campaign     number
	campaignName text
	inDialler    boolean
	weight       number
	created      instant
}

// LeadList converts one item of the lead lists. It has no SourceTime: the vendor does not tell when a list changed. The error
// is an *ItemError.
func (s Settings) LeadList(raw []byte) (Item, error) {
	payload, cleaned, err := storable(raw)
	if err != nil {
		return unstorable(err, raw, s.parseLeadList, func(l *leadList) number { return l.id })
	}
	l, left, err := s.parseLeadList(payload)
	if err != nil {
		return Item{}, err
	}
	return Item{
		ObjectID: l.id.id(), Payload: payload, Cleaned: cleaned, Unread: left.unread, Unknown: left.unknown,
		Values: []any{
			l.id.any(), l.name.any(), l.campaign.any(), l.campaignName.any(), l.inDialler.any(), l.weight.int32(), l.created.any(),
		},
	}, nil
}

func (s Settings) parseLeadList(payload []byte) (*leadList, notes, error) {
	f := fields{decoder: decoder{b: payload}, zone: s.Zone}
	var l leadList
	if !f.enter() {
		return nil, notes{}, &ItemError{Reason: ReasonNotObject}
	}
	for f.next() {
		switch string(f.key) {
		case "id":
			l.id = f.number("list_id")
		case "name":
			l.name = f.text("name")
		case "campaignId":
			l.campaign = f.number("campaign_id")
		case "campaignName":
			l.campaignName = f.text("campaign_name")
		case "inDialler":
			l.inDialler = f.flag("in_dialler")
		case "weight":
			l.weight = f.small("weight")
		case "timestamps":
			l.created = instant{}
			if !f.enter() {
				continue
			}
			for f.next() {
				if string(f.key) == "created" {
					l.created = f.instant("created_at")
					continue
				}
				f.strange()
			}
		default:
			f.strange()
		}
	}
	if f.bad || !l.id.ok || l.id.v <= 0 {
		return nil, notes{}, &ItemError{Reason: ReasonNoID}
	}
	return &l, f.notes, nil
}
