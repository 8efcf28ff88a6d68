package sandbox

import "time"

// Activities are all activities, by id, those of the future included.
func (v *IPSCAPE) Activities() []Activity {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.activities.all()
}

// Leads are all leads, by id.
func (v *IPSCAPE) Leads() []Lead {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.leads.all()
}

// DialAttempts are all attempts, by id.
func (v *IPSCAPE) DialAttempts() []DialAttempt {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.attempts.all()
}

// LeadLists are all lead lists, by id.
func (v *IPSCAPE) LeadLists() []LeadList {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.lists.all()
}

// Users are all users, by id.
func (v *IPSCAPE) Users() []User {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.users.all()
}

// Campaigns are all campaigns, by id.
func (v *IPSCAPE) Campaigns() []Campaign {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.campaigns.all()
}

// UpdateActivity changes one activity and says whether there is one; the creation time filter sees nothing of it. The
// id must stay.
func (v *IPSCAPE) UpdateActivity(id int64, change func(*Activity)) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.activities.update(id, func(a *Activity) {
		change(a)
		v.indexMedia(a)
	})
}

// UpdateLead changes one lead and says whether there is one. Modified moves to Now unless the change sets it; the upload
// time stays, so no filter sees the change. The id must stay.
func (v *IPSCAPE) UpdateLead(id int64, change func(*Lead)) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.leads.update(id, func(l *Lead) {
		before := l.Modified
		change(l)
		if l.Modified.Equal(before) {
			l.Modified = v.box.now().Truncate(time.Second)
		}
	})
}

// UpdateDialAttempt changes one attempt and says whether there is one.
func (v *IPSCAPE) UpdateDialAttempt(id int64, change func(*DialAttempt)) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.attempts.update(id, change)
}

// UpdateUser changes one user and says whether there is one.
func (v *IPSCAPE) UpdateUser(id int64, change func(*User)) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.users.update(id, change)
}

// DeleteLead makes a lead vanish and says whether there was one.
func (v *IPSCAPE) DeleteLead(id int64) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.leads.remove(id)
}

// DeleteActivity makes an activity vanish and says whether there was one.
func (v *IPSCAPE) DeleteActivity(id int64) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.activities.remove(id)
}

// DeleteUser makes a user vanish and says whether there was one.
func (v *IPSCAPE) DeleteUser(id int64) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.users.remove(id)
}

// DeleteLeadList makes a lead list vanish and says whether there was one.
func (v *IPSCAPE) DeleteLeadList(id int64) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.lists.remove(id)
}

// counts are the rows a reader of whole streams must end up with, by the streams' names.
func (v *IPSCAPE) counts() map[string]int {
	now := v.box.now()
	v.mu.Lock()
	defer v.mu.Unlock()
	out := map[string]int{
		"lead_lists": len(v.lists.rows), "users": len(v.users.rows), "campaigns": len(v.campaigns.rows),
		"activities": 0, "leads": 0, "dial_attempts": 0,
	}
	for i := range v.activities.rows {
		if !v.activities.rows[i].Created.After(now) {
			out["activities"]++
		}
	}
	for i := range v.leads.rows {
		if !v.leads.rows[i].Created.After(now) {
			out["leads"]++
		}
	}
	for i := range v.attempts.rows {
		if !v.attempts.rows[i].Dialled.After(now) {
			out["dial_attempts"]++
		}
	}
	return out
}
