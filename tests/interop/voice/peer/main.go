// Outside of a module Go goes back to what it did in 1.20, which has no ML-KEM in TLS.
//
//go:debug default=go1.26

// A peer of the voice protocol in Go, written from docs/protocol.md alone, to show that the text suffices.
//
//	peer client -url wss://… -ca ca.pem -anchor anchor.json [-in file.pcm] [-out back.pcm] …   one call, one line of JSON
//	peer server -cert leaf.pem -key key.pem -anchor anchor.json …    makes an anchor; a line of JSON for each connection
//	peer vectors                                                     runs cases of published vectors, from standard input
//
// It stands on Go's standard library and on nothing of this project.  It erases nothing, has no clock that runs on in
// suspend, and leaves out what its tests have no use for: padding class 2, WebTransport but for its chains and windows.
package main

import (
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	commands := map[string]func([]string) error{"client": runClient, "server": runServer, "vectors": runVectors}
	run := commands["vectors"]
	if len(os.Args) > 1 {
		run = commands[os.Args[1]]
	}
	if len(os.Args) < 2 || run == nil {
		fmt.Fprintln(os.Stderr, "usage: peer client|server|vectors …")
		os.Exit(2)
	}
	if err := run(os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func runVectors([]string) error { return answerVectors(os.Stdin, os.Stdout) }

func runClient(words []string) error {
	f := flag.NewFlagSet("client", flag.ExitOnError)
	address := f.String("url", "", "wss://host:port/v1/voice/route")
	ca := f.String("ca", "", "CA certificates, PEM")
	anchors := f.String("anchor", "", "the anchor file")
	in := f.String("in", "", "raw audio to send, a pattern without")
	out := f.String("out", "", "where to write what comes back")
	token := f.String("token-file", "", "a bearer token")
	authority := f.String("authority", "", "Host to send, that of -url without")
	key := f.String("key", "", "a key to sign with, PKCS #8 in PEM")
	cert := f.String("cert", "", "a certificate for the outer TLS, PEM")
	certKey := f.String("cert-key", "", "its private key")
	tickets := f.String("tickets", "", "a file with tickets to offer, which is written anew")
	suites := f.String("suites", "1", "suites to offer, hexadecimal; a share of the first one's group")
	codec := f.Uint("codec", 3, "number of the codec")
	milliseconds := f.Uint("frame-ms", 20, "duration of a frame")
	epochs := f.Uint("epochs", 1, "go on until this epoch")
	c := &client{result: &result{Role: "client"}}
	f.BoolVar(&c.withoutShares, "no-shares", false, "offer no share, which takes a HelloRetry")
	f.BoolVar(&c.unbound, "unbound", false, "bind to no carriage")
	f.StringVar(&c.metadata, "metadata", "", "a JSON object for the backend")
	f.IntVar(&c.frames, "frames", 10, "frames to send at least")
	f.DurationVar(&c.pace, "pace", 0, "time between frames, their duration without")
	f.IntVar(&c.awaitTickets, "await-tickets", 0, "go on until there were so many")
	f.BoolVar(&c.stay, "stay", false, "do not end the call")
	f.DurationVar(&c.limit, "limit", 30*time.Second, "give up after")
	f.IntVar(&c.fragment, "fragment", 0, "send messages in fragments of this many bytes")
	together := f.Int("together", 1, "make so many calls at once, and print a list")
	f.StringVar(&c.fault, "fault", "", strings.Join(clientFaults, ", "))
	f.Parse(words)
	if c.fault != "" && !slices.Contains(clientFaults, c.fault) {
		return fmt.Errorf("no such fault: %s", c.fault)
	}
	c.codec, c.frameMilliseconds, c.epochs = byte(*codec), byte(*milliseconds), uint32(*epochs)
	if c.pace == 0 {
		c.pace = time.Duration(c.frameMilliseconds) * time.Millisecond
	}
	var err error
	if c.suites, err = parseSuites(*suites); err != nil {
		return err
	}
	if err := c.prepare(*address, *ca, *anchors, *in, *token); err != nil {
		return err
	}
	if *authority != "" {
		c.authority = *authority
		c.trust.host = (&url.URL{Host: *authority}).Hostname()
	}
	if err := c.identify(*key, *cert, *certKey, *tickets); err != nil {
		return err
	}
	if *together > 1 {
		return callTogether(c, *together)
	}
	if err := c.call(); err != nil {
		return err
	}
	if *tickets != "" {
		if err := saveTickets(*tickets, c.tickets); err != nil {
			return err
		}
	}
	if *out != "" {
		if err := os.WriteFile(*out, c.back, 0o600); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(c.result)
}

// callTogether makes calls whose ClientHellos leave at the same moment, so that the server signs for several at once.
func callTogether(c *client, number int) error {
	gate := &sync.WaitGroup{}
	gate.Add(number)
	failed := make(chan error)
	clients := make([]client, number)
	for i := range clients {
		one := &clients[i]
		*one = *c
		one.gate, one.result, one.tickets = gate, &result{Role: "client"}, slices.Clone(c.tickets)
		go func() { failed <- one.call() }()
	}
	for range clients {
		if err := <-failed; err != nil {
			return err
		}
	}
	results := make([]*result, number)
	for i := range clients {
		results[i] = clients[i].result
	}
	return json.NewEncoder(os.Stdout).Encode(results)
}

func runServer(words []string) error {
	f := flag.NewFlagSet("server", flag.ExitOnError)
	certificate := f.String("cert", "", "the TLS certificate and its chain, PEM")
	key := f.String("key", "", "its private key, PEM")
	anchors := f.String("anchor", "", "where to write the anchor file")
	authorities := f.String("authorities", "localhost", "names to vouch for, with commas")
	suites := f.String("suites", "1,101", "suites to serve, hexadecimal, in our order")
	pq := f.Uint("pq", 0, "serving key beside P-384: 44, 65, 87, or 0 for none")
	anchorPQ := f.Uint("anchor-pq", 0, "the same for the anchor: 65, 87 or 0")
	seconds := f.Int("epoch-seconds", 300, "")
	perKey := f.Uint64("messages-per-key", 1000, "")
	reauth := f.Uint("reauthenticate", 1, "at every n-th step")
	padding := f.Uint("padding", 1, "class 0 or 1")
	s := &server{out: os.Stdout, draining: make(chan struct{})}
	f.StringVar(&s.token, "token", "", "the one token that may call; without it everybody may")
	keys := f.String("client-keys", "", "those that may call, `alg u16 || key` in hexadecimal, with commas")
	clientCA := f.String("client-ca", "", "PEM of the CA whose certificates may call")
	f.IntVar(&s.perEpoch, "tickets", 0, "to give in each epoch")
	f.IntVar(&s.ticketSeconds, "ticket-seconds", ticketHour, "their lifetime")
	f.BoolVar(&s.unbound, "unbound", false, "serve without a channel binding, too")
	f.IntVar(&s.requestAt, "request-after", 0, "frames until a RekeyRequest")
	f.IntVar(&s.fragment, "fragment", 0, "send messages in fragments of this many bytes")
	f.Parse(words)
	var err error
	if s.suites, err = parseSuites(*suites); err != nil {
		return err
	}
	s.authorities = strings.Split(*authorities, ",")
	s.params = params{*seconds, *perKey, byte(*padding), []byte{2, 3, 4, 8}, byte(*reauth), []byte{0}}
	if err := s.admit(*keys, *clientCA); err != nil {
		return err
	}
	algs := map[uint]int{44: algMLDSA44, 65: algMLDSA65, 87: algMLDSA87}
	for pair, alg := range map[**pair]int{&s.anchor: algs[*anchorPQ], &s.stranger: algs[*anchorPQ], &s.serving: algs[*pq]} {
		if *pair, err = newPair(alg); err != nil {
			return err
		}
	}
	if err := writeAnchors(*anchors, s.authorities, s.anchor); err != nil {
		return err
	}
	identity, err := tls.LoadX509KeyPair(*certificate, *key)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.say(map[string]int{"port": listener.Addr().(*net.TCPAddr).Port})
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	go func() {
		<-told
		close(s.draining)
		listener.Close()
	}()
	s.serve(listener, identity)
	return nil
}

func parseSuites(text string) (suites []int, err error) {
	for part := range strings.SplitSeq(text, ",") {
		suite, err := strconv.ParseUint(part, 16, 16)
		if err != nil || groupOf[int(suite)] == 0 {
			return nil, fmt.Errorf("no such suite: %s", part)
		}
		suites = append(suites, int(suite))
	}
	return suites, nil
}
