package export_test

import (
	"testing"

	"github.com/trunkline/trunkline/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }
