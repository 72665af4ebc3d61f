package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// A server: it echoes audio, and re-keys when its clients do.  The route's name is the fault it commits.

type server struct {
	authorities   []string
	anchor        *pair
	stranger      *pair // an anchor that nobody pins
	serving       *pair
	suites        []int
	params        params
	token         string
	unbound       bool     // binding type 0 will do
	clientKeys    []string // `alg u16 || key`
	clientCA      *x509.CertPool
	table         ticketTable
	requestAt     int // frames until a RekeyRequest, 0 for none
	perEpoch      int // tickets
	ticketSeconds int
	fragment      int
	draining      chan struct{}

	printing sync.Mutex
	out      io.Writer
}

// A serving is one connection's.
type serving struct {
	*server
	ws                *webSocket
	authority, target string
	fault             string
	session           *session
	result            *result
	current           []byte // the certificate
	signer            *pair
	outer             []byte // SHA-256 of the certificate that the client has shown in TLS
	kindThree         []byte // the same where it is the credential
	identity          string
	binding           byte
	fullAt            time.Time // the last handshake with ServerVerify
	resumption        *givenTicket

	heard     int
	requested bool
	spoiled   bool
	stepping  bool      // from RekeyInit until the client's first record of the next epoch
	lastInit  time.Time // zero before the first
}

func (s *server) serve(listener net.Listener, certificate tls.Certificate) {
	config := &tls.Config{
		Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS13,
		CurvePreferences: []tls.CurveID{tls.X25519MLKEM768}, NextProtos: []string{"http/1.1"},
	}
	if s.clientCA != nil {
		config.ClientAuth, config.ClientCAs = tls.VerifyClientCertIfGiven, s.clientCA
	}
	var connections sync.WaitGroup
	defer connections.Wait()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		connections.Go(func() {
			defer conn.Close()
			r := &result{Role: "server"}
			if err := s.connection(tls.Server(conn, config), r); err != nil {
				r.note(err)
			}
			s.say(r)
		})
	}
}

func (s *server) say(r any) {
	s.printing.Lock()
	defer s.printing.Unlock()
	json.NewEncoder(s.out).Encode(r)
}

func (s *server) connection(conn *tls.Conn, r *result) error {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	if err := conn.Handshake(); err != nil {
		return err
	}
	state := conn.ConnectionState()
	r.Group = state.CurveID.String()
	exporter, err := state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
	if err != nil {
		return err
	}
	c := &serving{server: s, result: r, ws: &webSocket{conn: conn, in: bufio.NewReader(conn), fragment: s.fragment}}
	if c.authority, c.target, err = acceptUpgrade(conn, c.ws.in); err != nil {
		return err
	}
	r.Target, c.outer = c.target, outerDigest(state)
	c.fault = strings.TrimPrefix(c.target, "/v1/voice/")
	if err := c.handshake(exporter); err != nil {
		r.note(err)
		if r.By == "self" {
			c.ws.close(r.Code)
			c.ws.read()
		}
		return nil
	}
	c.run()
	return nil
}

func (c *serving) run() {
	stop := make(chan struct{})
	defer close(stop)
	incoming := c.session.listen(stop)
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	happened := c.giveTickets()
	for happened == nil {
		select {
		case message := <-incoming:
			if happened = message.gone(); happened == nil {
				happened = c.take(message.received)
			}
		case <-look.C:
			if c.session.age() >= c.params.epoch()+30*time.Second {
				happened = fault(Expired, "the epoch is too old")
			}
		case <-c.draining:
			happened = fault(Draining, "told to stop")
		}
	}
	if happened == errDropped {
		c.result.By = "self"
		return
	}
	c.session.finish(happened, incoming)
}

func (c *serving) take(r received) error {
	s := c.session
	f, err := s.open(r)
	if err != nil {
		return err
	}
	if s.nextSend != nil && s.receive.epoch == s.nextSend.epoch {
		if err := s.switchSend(); err != nil {
			return err
		}
		c.stepping = false
		if err := c.giveTickets(); err != nil {
			return err
		}
	}
	if done, err := s.common(f); done {
		return err
	}
	switch f.kind {
	case frameAudio:
		return c.echo(f)
	case frameHandshake:
		return c.takeStep(f.payload)
	}
	return nil // mute, and marks that come back
}

func (c *serving) echo(f frame) error {
	c.result.Received++
	if c.heard++; c.heard >= 3 {
		if done, err := c.misbehave(f); done || err != nil {
			return err
		}
	}
	if c.requestAt > 0 && c.heard >= c.requestAt && !c.requested {
		c.requested = true
		if err := c.session.sendFrame(frameHandshake, encodeMessage(rekeyRequest)); err != nil {
			return err
		}
	}
	err := c.session.sendFrame(frameAudio, f.payload)
	if err == errAged { // dropped before it is sealed, as the text allows
		return nil
	}
	c.result.Sent++
	return err
}

// takeStep answers RekeyInit; everything else is wrong from a client.
func (c *serving) takeStep(payload []byte) error {
	s := c.session
	messages, err := oneStep(payload)
	if err != nil {
		return err
	}
	m := messages[0]
	switch {
	case m.kind == newTicket || m.kind == rekeyRequest:
		return fault(BadRecord, "message %d from a client", m.kind)
	case m.kind != rekeyInit:
		return fault(RekeyProtocol, "message %d from a client", m.kind)
	case c.stepping:
		return fault(RekeyProtocol, "a step during a step")
	case !c.lastInit.IsZero() && time.Since(c.lastInit) < c.params.wait():
		return fault(RekeyProtocol, "a step too early")
	}
	theirs, err := s.stepShare(m)
	if err != nil {
		return err
	}
	share, agreed, err := answer(groupOf[s.suite], theirs)
	if err != nil {
		return err
	}
	c.stepping, c.lastInit = true, time.Now()
	response := c.spoilResponse(s.keys.number+1, groupOf[s.suite], share)
	keys := s.keys.next(m.raw, response, agreed)
	answered := response
	if s.reauthenticates() && !c.does("step-no-verify") {
		verify, err := c.rekeyVerify(keys.th)
		if err != nil {
			return err
		}
		answered = join(response, verify)
	}
	if err := s.sendFrame(frameHandshake, answered); err != nil {
		return err
	}
	if c.fault == "ticket-between" { // under the old epoch still
		if err := c.giveTickets(); err != nil {
			return err
		}
	}
	s.keys = keys
	s.nextSend, s.nextReceive = s.chains(keys)
	return nil
}

// rekeyVerify makes one under the session's certificate and under a fresh one in turn.
func (c *serving) rekeyVerify(th []byte) ([]byte, error) {
	var fresh []byte
	if c.result.Verified++; c.result.Verified%2 == 0 || c.does("step-certificate") {
		issuing := c.issuing()
		if c.does("step-certificate") {
			issuing.anchor = c.stranger
		}
		var err error
		if issuing.serving, err = newPair(c.server.serving.pqAlg); err != nil {
			return nil, err
		}
		if fresh, err = issuing.issue(); err != nil {
			return nil, err
		}
		c.current, c.signer = fresh, issuing.serving
	}
	proof, err := prove(c.signer, saysRekey, rekeyLeaf(th, c.current))
	if err != nil {
		return nil, err
	}
	if c.does("step-verify") {
		proof.signature[len(proof.signature)-1] ^= 1
	}
	body := proof.fields()
	if fresh != nil {
		body = join(body, tlv(5, fresh))
	}
	return encodeMessage(rekeyVerify, body), nil
}

func (c *serving) issuing() issuing {
	now := time.Now()
	return issuing{c.authorities, now.Add(-time.Hour), now.Add(7 * 24 * time.Hour), c.anchor, c.server.serving}
}

// certificate gives the one that this connection is served under, and its keys.
func (c *serving) certificate() ([]byte, *pair, error) {
	issuing := c.spoilCertificate(c.issuing())
	raw, err := issuing.issue()
	return raw, issuing.serving, err
}
