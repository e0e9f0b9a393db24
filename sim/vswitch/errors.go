package vswitch

import (
	"errors"
	"fmt"

	"govn/pkg/openflow"
)

// Types of OpenFlow errors and their codes (OpenFlow 1.5, section 7.5.4).
const (
	etBadRequest  = 1
	etBadAction   = 2
	etBadInst     = 3
	etBadMatch    = 4
	etFlowMod     = 5
	etGroupMod    = 6
	etMeterMod    = 12
	etBundle      = 17
	etVendor      = 0xffff
	vendorNicira  = 0x2320
	errorDataSize = openflow.MaxMessage - 64 // bytes of the message that an error quotes

	brcBadVersion = 0
	brcBadType    = 1
	brcBadStat    = 2
	brcBadVendor  = 3
	brcBadSubtype = 4
	brcEPerm      = 5
	brcBadLen     = 6
	brcBadTable   = 9
	brcBadPort    = 11

	bacBadType      = 0
	bacBadLen       = 1
	bacBadVendor    = 2
	bacBadVendorTyp = 3
	bacBadOutPort   = 4
	bacBadArgument  = 5
	bacBadOutGroup  = 9
	bacInconsistent = 10
	bacBadTag       = 12
	bacBadSetType   = 13
	bacBadSetLen    = 14
	bacBadSetArg    = 15
	bacBadSetMask   = 16

	bicUnknown  = 0
	bicUnsup    = 1
	bicBadTable = 2
	bicBadLen   = 7
	bicDup      = 9

	bmcBadLen       = 1
	bmcBadWildcards = 5
	bmcBadField     = 6
	bmcBadValue     = 7
	bmcBadMask      = 8
	bmcBadPrereq    = 9
	bmcDupField     = 10

	fmfcBadTable   = 2
	fmfcOverlap    = 3
	fmfcBadCommand = 6
	fmfcBadFlags   = 7

	gmfcExists        = 0
	gmfcInvalid       = 1
	gmfcUnknown       = 8
	gmfcBadType       = 10
	gmfcBadCommand    = 11
	gmfcBadBucket     = 12
	gmfcBadWatch      = 13
	gmfcUnknownBucket = 15
	gmfcBucketExists  = 16
	gmfcLoop          = 7

	mmfcExists     = 1
	mmfcInvalid    = 2
	mmfcUnknown    = 3
	mmfcBadCommand = 4
	mmfcBadFlags   = 5
	mmfcBadBand    = 8

	bfcBadID     = 2
	bfcClosed    = 4
	bfcBadFlags  = 7
	bfcBadXID    = 9
	bfcUnsup     = 10
	bfcMsgFailed = 13

	nxBadConjunction  = 15
	nxTTMBadCommand   = 16
	nxTTMBadOptLen    = 17
	nxTTMBadIndex     = 18
	nxTTMTableFull    = 19
	nxTTMMapped       = 20
	nxTTMDup          = 21
	nxInvalidTLVField = 37
	nxInvalidTLVDel   = 38
)

// refuse is the error message that a controller gets.
func refuse(typ, code uint16) *openflow.Error { return &openflow.Error{ErrType: typ, Code: code} }

// refuseVendor is an error that Open vSwitch defined.
func refuseVendor(code uint16) *openflow.Error {
	return &openflow.Error{ErrType: etVendor, Vendor: vendorNicira, Code: code}
}

// asRefusal makes the message for an error of a handler.
func asRefusal(err error) *openflow.Error {
	var e *openflow.Error
	if errors.As(err, &e) {
		return e
	}
	return refuse(etBadRequest, brcBadLen)
}

// ErrProtocol is matched by the errors of Serve about a peer that breaks the
// protocol.
var ErrProtocol = errors.New("OpenFlow protocol violated")

func violated(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrProtocol, fmt.Sprintf(format, args...))
}
