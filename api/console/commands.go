package console

import (
	"context"
	"strings"

	"github.com/google/uuid"
)

// ofOneOrg are the commands that work on one organisation, the default one where --org names no other.
var ofOneOrg = []string{
	"trunkline deliveries list", "trunkline inbox list", "trunkline quarantine list", "trunkline quarantine replay --", "trunkline dnc ", "trunkline lead ",
}

// command is a command as it has to be typed here: where there are several organisations it has to say which is meant.
func (s *Site) command(line string) string {
	if !s.several.Load() || strings.Contains(line, " --org ") {
		return line
	}
	for _, start := range ofOneOrg {
		if strings.HasPrefix(line, start) {
			return line + " --org ORG"
		}
	}
	return line
}

// inOrg names the organisation of what a page is about, where there are several.
func (s *Site) inOrg(line string, org uuid.UUID) string {
	if org == uuid.Nil || !s.several.Load() {
		return line
	}
	return line + " --org " + org.String()
}

// countOrgs finds out whether there are several organisations. One that cannot be told leaves it as it was.
func (s *Site) countOrgs(ctx context.Context) {
	if several, err := s.cfg.Lists.SeveralOrganisations(ctx); err == nil {
		s.several.Store(several)
	}
}
