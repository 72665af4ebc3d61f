package main

import (
	"bufio"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strings"
)

// The opening handshake of RFC 6455, by hand: what stands in Host and in the request line goes into the prologue as it
// was sent.

const (
	subprotocol = "sottovoce.v1"
	maxHead     = 16_384
)

type head struct {
	start  []string // the first line's three parts
	fields [][2]string
}

func (h *head) all(name string) (values []string) {
	for _, field := range h.fields {
		if strings.EqualFold(field[0], name) {
			values = append(values, field[1])
		}
	}
	return values
}

// one gives a header that stands there exactly once.
func (h *head) one(name string) string {
	if values := h.all(name); len(values) == 1 {
		return values[0]
	}
	return ""
}

// lists says whether a header that is a list has this element.
func (h *head) lists(name, element string) bool {
	for _, value := range h.all(name) {
		for part := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(part), element) {
				return true
			}
		}
	}
	return false
}

func readHead(in *bufio.Reader) (*head, error) {
	h := &head{}
	for size := 0; ; {
		line, err := in.ReadString('\n')
		if err != nil {
			return nil, err
		}
		if size += len(line); size > maxHead || !strings.HasSuffix(line, "\r\n") {
			return nil, fmt.Errorf("not HTTP")
		}
		line = strings.TrimSuffix(line, "\r\n")
		switch name, value, isField := strings.Cut(line, ":"); {
		case h.start == nil:
			if h.start = strings.SplitN(line, " ", 3); len(h.start) != 3 {
				return nil, fmt.Errorf("not HTTP: %q", line)
			}
		case line == "":
			return h, nil
		case !isField:
			return nil, fmt.Errorf("not a header: %q", line)
		default:
			h.fields = append(h.fields, [2]string{name, strings.Trim(value, " \t")})
		}
	}
}

func acceptance(key string) string {
	digest := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(digest[:])
}

// requestUpgrade is the client's side.
func requestUpgrade(conn io.Writer, in *bufio.Reader, authority, target string) error {
	random := make([]byte, 16)
	rand.Read(random)
	key := base64.StdEncoding.EncodeToString(random)
	_, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: %s\r\n\r\n",
		target, authority, key, subprotocol)
	if err != nil {
		return err
	}
	h, err := readHead(in)
	if err != nil {
		return err
	}
	if h.start[0] != "HTTP/1.1" || h.start[1] != "101" || !h.lists("Upgrade", "websocket") ||
		!h.lists("Connection", "Upgrade") || h.one("Sec-WebSocket-Accept") != acceptance(key) ||
		h.one("Sec-WebSocket-Protocol") != subprotocol || len(h.all("Sec-WebSocket-Extensions")) > 0 {
		return fmt.Errorf("the upgrade was refused: %s", strings.Join(h.start, " "))
	}
	return nil
}

// acceptUpgrade is the server's side; it gives Host and target as they came.
func acceptUpgrade(conn io.Writer, in *bufio.Reader) (authority, target string, err error) {
	h, err := readHead(in)
	if err != nil {
		return "", "", err
	}
	status := ""
	key, _ := base64.StdEncoding.DecodeString(h.one("Sec-WebSocket-Key"))
	switch {
	case h.start[0] != "GET":
		status = "405 Method Not Allowed"
	case len(h.all("Origin")) > 0:
		status = "403 Forbidden"
	case h.one("Sec-WebSocket-Version") != "13":
		status = "426 Upgrade Required"
	case h.start[2] != "HTTP/1.1", !strings.HasPrefix(h.start[1], "/"), h.one("Host") == "", len(key) != 16,
		!h.lists("Upgrade", "websocket"), !h.lists("Connection", "Upgrade"), !offered(h):
		status = "400 Bad Request"
	case !strings.HasPrefix(h.start[1], "/v1/voice/"):
		status = "404 Not Found"
	}
	if status != "" {
		fmt.Fprintf(conn, "HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\nSec-WebSocket-Version: 13\r\n\r\n", status)
		return "", "", fmt.Errorf("refused: %s", status)
	}
	_, err = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: %s\r\n%s\r\n", acceptance(h.one("Sec-WebSocket-Key")), selection(h.start[1]))
	return h.one("Host"), h.start[1], err
}

// offered compares exactly: names of subprotocols have case.
func offered(h *head) bool {
	return slices.ContainsFunc(h.all("Sec-WebSocket-Protocol"), func(value string) bool {
		return slices.ContainsFunc(strings.Split(value, ","), func(name string) bool {
			return strings.TrimSpace(name) == subprotocol
		})
	})
}
