package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"
	"time"
)

// A client: one call, a file sent in frames, what comes back kept.

type client struct {
	// What it is told.
	url               *url.URL
	authority, target string
	roots             *x509.CertPool
	trust             trust
	suites            []int
	withoutShares     bool
	unbound           bool // as if the carriage's exporter could not be read
	token, metadata   string
	key               *clientKey
	outer             *tls.Certificate
	tickets           []*storedTicket
	awaitTickets      int
	codec             byte
	frameMilliseconds byte
	epochs            uint32
	frames            int
	pace              time.Duration
	stay              bool // until the server ends it
	limit             time.Duration
	fragment          int
	fault             string
	audio             []byte
	gate              *sync.WaitGroup // where several wait for each other, nil for one alone

	// What it has come to.
	ws          *webSocket
	startedAt   time.Time
	certificate *certificate
	params      params
	session     *session
	back        []byte
	result      *result
	misbehaved  bool
	binding     byte
	verifiedAt  time.Time // when the server last proved itself by signatures
	fullReauth  byte      // ServerParams tag 6 of the full handshake

	ticketEpoch    uint32
	ticketsInEpoch int

	// The step under way, and when the next one begins.
	step      *step
	nextStep  time.Time
	lastStep  time.Time // of the last RekeyResponse
	requested bool
}

// A step is between RekeyInit and the server's switch.
type step struct {
	init     []byte
	finish   finish
	answered bool
}

// call runs it from the connection to its end.
func (c *client) call() error {
	config := &tls.Config{
		RootCAs: c.roots, ServerName: c.url.Hostname(), MinVersion: tls.VersionTLS13,
		CurvePreferences: []tls.CurveID{tls.X25519MLKEM768}, NextProtos: []string{"http/1.1"},
	}
	if c.outer != nil {
		config.Certificates = []tls.Certificate{*c.outer}
	}
	conn, err := tls.Dial("tcp", c.url.Host, config)
	if err != nil {
		return err
	}
	defer conn.Close()
	state := conn.ConnectionState()
	c.result.Group = state.CurveID.String()
	exporter, err := state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
	if err != nil {
		return err
	}
	c.ws = &webSocket{conn: conn, in: bufio.NewReader(conn), isClient: true, fragment: c.fragment}
	if err := requestUpgrade(conn, c.ws.in, c.authority, c.target); err != nil {
		return err
	}
	if c.gate != nil {
		c.gate.Done()
		c.gate.Wait()
	}
	c.startedAt = time.Now()
	if err := c.handshake(exporter); err != nil {
		c.result.note(err)
		if c.result.By == "self" {
			c.ws.close(c.result.Code)
		}
		return nil
	}
	c.run()
	return nil
}

func (c *client) run() {
	stop := make(chan struct{})
	defer close(stop)
	incoming := c.session.listen(stop)
	pace := time.NewTicker(c.pace)
	defer pace.Stop()
	end := time.After(c.limit)
	c.schedule()
	var happened error
	for happened == nil && !c.done() {
		select {
		case message := <-incoming:
			if happened = message.gone(); happened == nil {
				happened = c.take(message.received)
			}
		case <-pace.C:
			happened = c.tick()
		case <-end:
			happened = fault(Internal, "not done in time")
		}
	}
	if happened == errDropped {
		c.result.By = "self"
		return
	}
	c.session.finish(happened, incoming)
	c.result.Identical = bytes.HasPrefix(c.audio, c.back) && c.result.Received == c.result.Sent
}

func (c *client) done() bool {
	r := c.result
	return !c.stay && c.fault == "" && r.Epochs >= c.epochs && r.Tickets >= c.awaitTickets && c.step == nil && r.Sent >= c.frames && r.Received >= r.Sent
}

// schedule picks the moment of the next step: 80 to 90 % of the epoch's age.
func (c *client) schedule() {
	share := 0.8 + float64(below(1_000))/10_000
	c.nextStep = c.session.began.Add(time.Duration(share * float64(c.params.epoch())))
}

// tick sends what is due.
func (c *client) tick() error {
	now := time.Now()
	if c.requested && now.Sub(c.lastStep) >= c.params.wait() {
		c.requested, c.nextStep = false, now
	}
	if c.step == nil && !now.Before(c.nextStep) {
		if err := c.beginStep(c.session.keys.number + 1); err != nil {
			return err
		}
	}
	if c.session.age() >= c.params.epoch()+60*time.Second {
		return fault(Expired, "the epoch is too old")
	}
	if c.fault != "" && c.result.Received >= 3 {
		if done, err := c.misbehave(); done || err != nil {
			return err
		}
	}
	if c.result.Sent >= c.frames && (c.stay || c.fault != "" || c.result.Epochs >= c.epochs) {
		return nil
	}
	err := c.session.sendFrame(frameAudio, join([]byte{0}, c.frame(c.result.Sent)))
	if err == errAged {
		return nil
	}
	c.result.Sent++
	return err
}

// frame gives the i-th frame of the file, which it repeats for as long as needed.
func (c *client) frame(i int) []byte {
	size := map[byte]int{2: 16, 3: 32, 4: 48, 5: 8, 6: 8, 8: 96}[c.codec] * int(c.frameMilliseconds)
	for len(c.audio) < size*(i+1) {
		c.audio = append(c.audio, c.audio...)
	}
	return c.audio[size*i : size*(i+1)]
}

func (c *client) beginStep(epoch uint32) error {
	share, finish, err := offer(groupOf[c.session.suite])
	if err != nil {
		return err
	}
	c.step = &step{init: encodeMessage(rekeyInit, tlv(1, u32(epoch)), tlv(2, join(u16(groupOf[c.session.suite]), share))),
		finish: finish}
	return c.session.sendFrame(frameHandshake, c.step.init)
}

// take handles one message of the carriage.
func (c *client) take(r received) error {
	f, err := c.session.open(r)
	if err != nil {
		return err
	}
	if done, err := c.session.common(f); done {
		if err == nil && f.kind == frameSwitch {
			c.step = nil
			c.schedule()
		}
		return err
	}
	switch f.kind {
	case frameAudio:
		c.back = append(c.back, audioBytes(f.payload)...)
		c.result.Received++
	case frameMark: // nothing is queued here
		return c.session.sendFrame(frameMark, f.payload)
	case frameHandshake:
		return c.takeStep(f.payload)
	}
	return nil
}

func (c *client) takeStep(payload []byte) error {
	messages, err := oneStep(payload)
	if err != nil {
		return err
	}
	switch m := messages[0]; m.kind {
	case rekeyResponse:
		return c.finishStep(m, messages[1:])
	case rekeyRequest:
		c.requested = c.step == nil
		return nil
	case newTicket:
		return c.keepTicket(m)
	default:
		return fault(RekeyProtocol, "message %d from a server", m.kind)
	}
}

// finishStep takes RekeyResponse and what comes with it, and switches what it sends.
func (c *client) finishStep(m *message, rest []*message) error {
	s := c.session
	if c.step == nil || c.step.answered {
		return fault(RekeyProtocol, "an answer without a question")
	}
	share, err := s.stepShare(m)
	if err != nil {
		return err
	}
	if (len(rest) == 1) != s.reauthenticates() {
		return fault(RekeyProtocol, "RekeyVerify where there is none, or none where it is")
	}
	agreed, err := c.step.finish(share)
	if err != nil {
		return err
	}
	keys := s.keys.next(c.step.init, m.raw, agreed)
	for _, verify := range rest {
		if err := c.checkStep(verify, keys.th); err != nil {
			return err
		}
	}
	c.step.answered = true
	c.lastStep = time.Now()
	s.keys = keys
	s.nextSend, s.nextReceive = s.chains(keys)
	return s.switchSend()
}

// checkStep takes RekeyVerify.
func (c *client) checkStep(m *message, th []byte) error {
	now := c.startedAt.Add(time.Since(c.startedAt)) // the wall clock then, the time run since
	certificate := c.certificate
	if m.has(5) {
		fresh, err := parseCertificate(m.value[5])
		if err != nil {
			return err
		}
		if fresh.anchorID != certificate.anchorID {
			return fault(AuthFailed, "a certificate of another anchor")
		}
		if err := c.trust.check(fresh, now); err != nil {
			return err
		}
		certificate = fresh
	} else if err := certificate.inDate(now); err != nil {
		return err
	}
	if err := certificate.checkProof(m, saysRekey, rekeyLeaf(th, certificate.raw)); err != nil {
		return err
	}
	c.certificate, c.verifiedAt = certificate, now
	c.result.Verified++
	return nil
}

// prepare reads the files that the command line names.
func (c *client) prepare(address, ca, anchors, in, token string) (err error) {
	if c.url, err = url.Parse(address); err != nil || c.url.Scheme != "wss" {
		return fmt.Errorf("not a wss:// address: %s", address)
	}
	c.authority, c.target = c.url.Host, c.url.RequestURI()
	pem, err := os.ReadFile(ca)
	if err != nil {
		return err
	}
	c.roots = x509.NewCertPool()
	if !c.roots.AppendCertsFromPEM(pem) {
		return errors.New("no certificates in " + ca)
	}
	if c.trust.anchors, err = loadAnchors(anchors); err != nil {
		return err
	}
	c.trust.host = c.url.Hostname()
	if token != "" {
		content, err := os.ReadFile(token)
		if err != nil {
			return err
		}
		c.token = string(bytes.TrimSpace(content))
	}
	if in == "" {
		c.audio = make([]byte, 1<<15)
		for i := range c.audio {
			c.audio[i] = byte(i * i >> 5)
		}
		return nil
	}
	c.audio, err = os.ReadFile(in)
	return err
}
