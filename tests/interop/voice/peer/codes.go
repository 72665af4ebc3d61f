package main

import "fmt"

// A Code is what one end tells the other about an end (protocol text §10).
type Code int

const (
	Normal        Code = 1000
	BadRecord     Code = 4400
	AuthFailed    Code = 4401
	Policy        Code = 4403
	NoCommonSuite Code = 4406
	Expired       Code = 4408
	ReplayOrGap   Code = 4409
	DecryptFailed Code = 4410
	RekeyProtocol Code = 4411
	IllegalShare  Code = 4412
	TooLarge      Code = 4413
	WrongBinding  Code = 4415
	KeyLimit      Code = 4421
	RateLimited   Code = 4429
	Draining      Code = 4460
	Internal      Code = 4499
)

// A Fault is something wrong that this end has found.
type Fault struct {
	Code Code
	Why  string
}

func (f *Fault) Error() string { return fmt.Sprintf("%d: %s", f.Code, f.Why) }

func fault(code Code, format string, values ...any) error {
	return &Fault{code, fmt.Sprintf(format, values...)}
}

// An Ended says that the other end has finished the session, or that the connection is gone.
type Ended struct {
	Code      Code // of its frame of type 7, 0 without one
	CloseCode int  // of the WebSocket, 0 without one
}

func (e *Ended) Error() string {
	return fmt.Sprintf("ended by the peer: %d (close %d)", e.Code, e.CloseCode)
}
