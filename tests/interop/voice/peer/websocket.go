package main

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"
	"unicode/utf8"
)

// RFC 6455 after its opening handshake, either side.

const (
	opContinuation = 0
	opText         = 1
	opBinary       = 2
	opClose        = 8
	opPing         = 9
	opPong         = 10

	// A sealed flight with the longest ciphertext, 3 + 65 535 bytes, is the longest record there is.
	maxMessageBytes = 65_538
)

type webSocket struct {
	conn     net.Conn
	in       *bufio.Reader
	isClient bool
	fragment int // the longest fragment to send, 0 for messages in one piece

	writing sync.Mutex
	closed  bool // a close frame has gone out
}

// A received is a whole message, or the end: with opClose the peer's code (1005 without one).
type received struct {
	op   byte
	data []byte
	code int
}

var errWebSocket = errors.New("a WebSocket frame that is none")

// read gives the next message; it answers pings and closes by itself.
func (w *webSocket) read() (received, error) {
	var whole []byte
	var op byte
	for {
		final, opcode, data, err := w.readFrame()
		if err != nil {
			return received{}, err
		}
		switch opcode {
		case opPing:
			w.write(opPong, data)
		case opPong:
		case opClose:
			return w.closing(data)
		case opContinuation, opText, opBinary:
			if (opcode == opContinuation) == (op == 0) {
				return received{}, errWebSocket
			}
			if opcode != opContinuation {
				op = opcode
			}
			if whole = append(whole, data...); len(whole) > maxMessageBytes {
				return received{}, errWebSocket
			}
			if final {
				return received{op: op, data: whole}, nil
			}
		default:
			return received{}, errWebSocket
		}
	}
}

func (w *webSocket) closing(data []byte) (received, error) {
	code := 1005
	if len(data) == 1 || (len(data) > 2 && !utf8.Valid(data[2:])) {
		return received{}, errWebSocket
	}
	if len(data) >= 2 {
		code = int(binary.BigEndian.Uint16(data))
		data = data[:2]
	}
	w.sendClose(data)
	return received{op: opClose, code: code}, nil
}

func (w *webSocket) readFrame() (final bool, opcode byte, data []byte, err error) {
	var head [2]byte
	if _, err = io.ReadFull(w.in, head[:]); err != nil {
		return
	}
	final, opcode = head[0]&0x80 != 0, head[0]&15
	masked, length := head[1]&0x80 != 0, uint64(head[1]&0x7F)
	if head[0]&0x70 != 0 || masked == w.isClient || (opcode >= 8 && (!final || length > 125)) {
		return false, 0, nil, errWebSocket
	}
	if length >= 126 {
		shortest := map[uint64]uint64{126: 126, 127: 1 << 16}[length]
		long := make([]byte, map[uint64]int{126: 2, 127: 8}[length])
		if _, err = io.ReadFull(w.in, long); err != nil {
			return
		}
		length = 0
		for _, b := range long {
			length = length<<8 | uint64(b)
		}
		if length < shortest || length > maxMessageBytes {
			return false, 0, nil, errWebSocket
		}
	}
	var mask [4]byte
	if masked {
		if _, err = io.ReadFull(w.in, mask[:]); err != nil {
			return
		}
	}
	data = make([]byte, length)
	_, err = io.ReadFull(w.in, data)
	for i := range data {
		data[i] ^= mask[i%4]
	}
	return
}

// send writes a binary message, in fragments when that is asked for.
func (w *webSocket) send(data []byte) error {
	op := byte(opBinary)
	for w.fragment > 0 && len(data) > w.fragment {
		if err := w.writeFrame(op, data[:w.fragment]); err != nil {
			return err
		}
		op, data = opContinuation, data[w.fragment:]
	}
	return w.write(op, data)
}

// close begins the closing handshake.
func (w *webSocket) close(code Code) { w.sendClose(u16(int(code))) }

func (w *webSocket) sendClose(data []byte) {
	w.writing.Lock()
	already := w.closed
	w.closed = true
	w.writing.Unlock()
	if !already {
		w.write(opClose, data)
	}
}

func (w *webSocket) write(op byte, data []byte) error { return w.writeFrame(0x80|op, data) }

func (w *webSocket) writeFrame(first byte, data []byte) error {
	head := []byte{first}
	var maskBit byte
	if w.isClient {
		maskBit = 0x80
	}
	switch n := len(data); {
	case n < 126:
		head = append(head, maskBit|byte(n))
	case n < 1<<16:
		head = append(head, maskBit|126, byte(n>>8), byte(n))
	default:
		head = append(append(head, maskBit|127), u64(uint64(n))...)
	}
	body := data
	if w.isClient {
		mask := make([]byte, 4)
		rand.Read(mask)
		head = append(head, mask...)
		body = make([]byte, len(data))
		for i := range data {
			body[i] = data[i] ^ mask[i%4]
		}
	}
	w.writing.Lock()
	defer w.writing.Unlock()
	w.conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
	_, err := w.conn.Write(join(head, body))
	return err
}
