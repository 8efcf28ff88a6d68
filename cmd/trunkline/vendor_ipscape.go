package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/trunkline/trunkline/sync/ipscape"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

func callableIPSCAPE() *callable {
	return &callable{
		name: "ipscape", title: "ipSCAPE", operations: ipscape.Described(),
		check: func(call vendorCall) error {
			if call.out != "" && (call.op.Name != ipscape.OpGetMedia || call.maxOut <= 0) {
				return errors.New("--out goes with get_media only, and --max-mib must be above zero")
			}
			if call.verify && call.op.Name != ipscape.OpBulkCreateLeads {
				return errors.New("--verify goes with bulk_create_leads only")
			}
			if call.skipKnown && (call.op.Name != ipscape.OpBulkCreateLeads || call.verify) {
				return errors.New("--skip-known goes with bulk_create_leads only, and not with --verify")
			}
			return ipscape.CheckCall(call.op.Name, call.args)
		},
		account: func(c *config) (vendorAccount, string) {
			if !c.IPSCAPE.on() {
				return vendorAccount{}, "IPSCAPE_TOKEN"
			}
			return vendorAccount{pipeline.SourceIPSCAPE, c.IPSCAPE.Rate, c.IPSCAPE.Token}, ""
		},
		forbidden: func(c *config, name string) error {
			op, _ := vendorapi.Find(ipscape.Described(), name)
			if op.Effect != vendorapi.Reads && !c.IPSCAPE.Writes {
				return fault{"IPSCAPE_WRITES", fmt.Sprintf("must be true for %s, which %s", op.Name, op.Effect)}
			}
			return nil
		},
		phones: ipscapePhones,
		run: func(ctx context.Context, c *config, base vendorapi.Client, call vendorCall) (json.RawMessage, error) {
			settings := c.IPSCAPE.client()
			if call.out != "" {
				settings.MaxAudio = call.maxOut
			}
			if call.op.Name == ipscape.OpBulkCreateLeads {
				return runBulk(ctx, settings, base, call)
			}
			client, err := ipscape.NewClient(settings, base)
			if err != nil {
				return nil, err
			}
			if call.out != "" {
				return saveMedia(ctx, client, call)
			}
			answer, err := client.Call(ctx, call.op.Name, call.args)
			if errors.Is(err, ipscape.ErrAudio) {
				return nil, fmt.Errorf("%w; --out FILE saves it", err)
			}
			return answer, err
		},
	}
}

// savedMedia is what is printed of a recording that was saved.
type savedMedia struct {
	MediaID     string `json:"mediaId"`
	File        string `json:"file"`
	ContentType string `json:"content_type"`
	Bytes       int64  `json:"bytes"`
}

// saveMedia writes a recording to a file, which appears only when it is whole. Where the vendor answers what it knows of the
// recording instead, that is returned and no file is made.
func saveMedia(ctx context.Context, client *ipscape.Client, call vendorCall) (answer json.RawMessage, err error) {
	// Recordings are for the operator alone: the temporary file's rights, 0600, stay.
	file, err := os.CreateTemp(filepath.Dir(call.out), ".trunkline-media-*")
	if err != nil {
		return nil, fmt.Errorf("making a file beside --out: %w", err)
	}
	defer func() {
		_ = file.Close() // closed already where its end matters
		_ = os.Remove(file.Name())
	}()
	id := call.args["mediaId"]
	media, err := client.GetMedia(ctx, id, file, vendorapi.Live)
	if err != nil {
		return nil, err
	}
	if media.Metadata != nil {
		fmt.Fprintln(call.talk, "the vendor answered what it knows of the recording, not its audio; no file is made")
		return media.Metadata, nil
	}
	if err := file.Close(); err != nil {
		return nil, fmt.Errorf("writing the recording: %w", err)
	}
	if err := os.Rename(file.Name(), call.out); err != nil {
		return nil, fmt.Errorf("putting the recording in its place: %w", err)
	}
	return json.Marshal(savedMedia{id, call.out, media.ContentType, media.Size})
}
