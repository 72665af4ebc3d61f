package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"sync"
	"time"
)

// Tickets, protocol text §6.  A client's are in a file, so that a test can change what the client believes of one; a
// server's stand in a table under a random name, which is as opaque to the client as a sealed one.

const (
	maxTicket   = 1_024
	ticketHour  = 3_600
	ticketDay   = 24 * time.Hour
	perEpochMax = 4
)

// A storedTicket is what a client keeps of a session for the next one, and where it may offer it.
type storedTicket struct {
	Ticket, PSK     []byte
	Epoch           uint32 // in the KID of the record that brought it
	Authority, Path string
	Shown           string // the credential: kind and digest
	Suite, Binding  int
	Certificate     []byte // the session's at that time
	Reauthenticate  byte   // ServerParams tag 6 of the full handshake
	Expires         time.Time
	Verified        time.Time // the last ServerVerify or RekeyVerify
}

// mayOffer is the client's own limits.
func (t *storedTicket) mayOffer(c *client, binding byte, now time.Time) bool {
	certificate, err := parseCertificate(t.Certificate)
	return err == nil && len(t.Ticket) > 0 && t.Authority == lowered(c.authority) && t.Path == c.target && t.Shown == c.shown() &&
		t.Binding == int(binding) && slices.Contains(c.suites, t.Suite) && now.Before(t.Expires) &&
		now.Sub(t.Verified) < ticketDay && now.Before(certificate.notAfter) && c.trust.check(certificate, now) == nil
}

// pickTicket gives the newest that may be offered, nil for none; what may not be is let go of.
func (h *clientHandshake) pickTicket() *storedTicket {
	h.tickets = slices.DeleteFunc(h.tickets, func(t *storedTicket) bool {
		return !t.mayOffer(h.client, h.binding, h.startedAt)
	})
	if len(h.tickets) == 0 {
		return nil
	}
	return h.tickets[len(h.tickets)-1]
}

// letGo is for a ticket that was offered, once there is a ServerHello.
func (c *client) letGo(ticket *storedTicket) {
	c.tickets = slices.DeleteFunc(c.tickets, func(t *storedTicket) bool { return t == ticket })
}

// keepTicket takes NewTicket: its psk is that of the epoch whose keys have opened it.
func (c *client) keepTicket(m *message) error {
	lifetime, err := m.number(1, 4)
	if err != nil {
		return err
	}
	if lifetime > ticketHour || len(m.value[2]) > maxTicket {
		return fault(BadRecord, "a ticket out of range")
	}
	record := c.session.receive
	if c.ticketEpoch != record.epoch {
		c.ticketEpoch, c.ticketsInEpoch = record.epoch, 0
	}
	if c.ticketsInEpoch++; c.ticketsInEpoch > perEpochMax {
		return fault(RateLimited, "more than %d tickets in an epoch", perEpochMax)
	}
	c.result.Tickets++
	c.tickets = append(c.tickets, &storedTicket{
		Ticket: m.value[2], PSK: record.resumption, Epoch: record.epoch, Authority: lowered(c.authority), Path: c.target, Shown: c.shown(),
		Suite: c.session.suite, Binding: int(c.binding), Certificate: c.certificate.raw,
		Reauthenticate: c.fullReauth, Verified: c.verifiedAt,
		Expires: time.Now().Add(time.Duration(lifetime) * time.Second),
	})
	return nil
}

func loadTickets(path string) (all []*storedTicket, err error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(content, &all)
	}
	return all, err
}

func saveTickets(path string, all []*storedTicket) error {
	content, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}

// A givenTicket is what a server knows of one, and what it is bound to.
type givenTicket struct {
	psk               []byte
	identity          string
	authority, target string
	suite             int
	binding           byte
	anchor            [32]byte
	outer             []byte    // SHA-256 of the certificate, from a kind-3 session
	current           []byte    // the certificate, under which the client expects a RekeyVerify
	signer            *pair     // its keys
	full              time.Time // the last handshake with ServerVerify
	expires           time.Time
}

// A ticketTable has those that were not used yet.
type ticketTable struct {
	lock  sync.Mutex
	given map[string]*givenTicket
}

func (t *ticketTable) put(ticket []byte, given *givenTicket) {
	t.lock.Lock()
	defer t.lock.Unlock()
	if t.given == nil {
		t.given = map[string]*givenTicket{}
	}
	t.given[string(ticket)] = given
}

// take gives a ticket's state when it fits, and never again.
func (t *ticketTable) take(ticket []byte, fits func(*givenTicket) bool) *givenTicket {
	t.lock.Lock()
	defer t.lock.Unlock()
	given := t.given[string(ticket)]
	if given == nil || !fits(given) {
		return nil
	}
	delete(t.given, string(ticket))
	return given
}

// redeem gives what a ClientHello's ticket stands for, nil when it has none or one of no use here.
func (h *serverHandshake) redeem(c *hello, suite int) *givenTicket {
	h.result.Offered = c.has(5)
	if !c.has(5) || h.fault == "resumed-ignored" {
		return nil
	}
	now := time.Now()
	return h.table.take(c.value[5], func(t *givenTicket) bool {
		return t.authority == lowered(h.authority) && t.target == h.target && t.suite == suite && t.binding == c.binding &&
			t.anchor == anchorID(h.anchor.keys()) && now.Before(t.expires) && now.Sub(t.full) < ticketDay &&
			(t.outer == nil || string(t.outer) == string(h.outer))
	})
}

// giveTickets sends as many as an epoch gets, under whatever epoch this side seals now.
func (c *serving) giveTickets() error {
	for range c.spoilNumber(c.perEpoch) {
		ticket := make([]byte, 32+below(maxTicket-31))
		rand.Read(ticket)
		lifetime := time.Duration(c.ticketSeconds) * time.Second
		c.table.put(ticket, &givenTicket{
			c.session.send.resumption, c.identity, lowered(c.authority), c.target, c.session.suite, c.binding,
			anchorID(c.anchor.keys()), c.kindThree, c.current, c.signer, c.fullAt, time.Now().Add(lifetime),
		})
		if err := c.session.sendFrame(frameHandshake, c.spoilTicket(uint32(c.ticketSeconds), ticket)); err != nil {
			return err
		}
		c.result.Tickets++
	}
	return nil
}
