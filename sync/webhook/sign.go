package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

// Headers of a delivery (contracts/lendworks.md section 9.1).
const (
	HeaderSignature = "X-Webhook-Signature"
	HeaderID        = "X-Webhook-Id"
	HeaderTimestamp = "X-Webhook-Timestamp"
)

// Sign returns the signature of a body sent at a time in Unix seconds: sha256= and the lower-case hex HMAC-SHA256 of the
// time, a dot and the bytes, with the whole secret as key.
func Sign(secret vendorapi.Secret, timestamp int64, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	// A hash takes every write.
	_, _ = mac.Write(append(strconv.AppendInt(nil, timestamp, 10), '.'))
	_, _ = mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}
