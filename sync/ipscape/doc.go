// Package ipscape speaks the ipSCAPE Platform API v3.0: a client that has all its operations and streams its lists, and pure conversions of what it says
// into typed rows and into the pipeline's facts (contracts/ipscape.md). The vendor documents little, so what it leaves open
// is configuration, and what it sends is read with tolerance: numbers as text, [] for an empty object, two spellings of an offset.
package ipscape
