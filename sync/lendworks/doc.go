// Package lendworks speaks to LendWorks' Broker API (contracts/lendworks.md): leads are written and read, calls, presence and
// dispositions told, agents listed, and its webhooks verified and read. It imports neither database nor queue.
package lendworks
