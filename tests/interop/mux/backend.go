// A backend in Go, written from docs/backend-mux.md alone, with the standard library alone.
//
//	backend tcp 127.0.0.1:0
//	backend unix /run/bot.sock
//
// Prints its address, then serves until its standard input ends.  It says back what it hears, keys too; before the key 0
// it sets a mark, at 1 it hangs up, at 2 it gives the call up, at 3 it sends garbage, at 4 it says goaway.
package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
)

const (
	open, opened                               = 0x01, 0x02
	audio, data, dtmf, mark, clear, jsonObject = 0x10, 0x11, 0x12, 0x13, 0x14, 0x15
	mute, stop, failed, credit                 = 0x16, 0x20, 0x21, 0x22
	ping, pong, goaway                         = 0x30, 0x31, 0x32
	window                                     = 100
)

type call struct {
	credit, taken int
	waiting       [][]byte // frames that ask for credit
	isLeaving     bool
}

type connection struct {
	net.Conn
	calls map[uint32]*call
	out   bytes.Buffer
}

func frame(kind byte, number uint32, body []byte) []byte {
	head := make([]byte, 7, 7+len(body))
	binary.BigEndian.PutUint16(head, uint16(len(body)))
	binary.BigEndian.PutUint32(head[2:], number)
	head[6] = kind
	return append(head, body...)
}

func count(number int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(number)) }

// pay sends what a call may send, and keeps the rest; of audio no more than a second.
func (c *connection) pay(number uint32, framed []byte) {
	it := c.calls[number]
	if framed != nil {
		it.waiting = append(it.waiting, framed)
	}
	for len(it.waiting) > 0 && it.credit > 0 {
		c.out.Write(it.waiting[0])
		it.waiting, it.credit = it.waiting[1:], it.credit-1
	}
	for len(it.waiting) > 50 && it.waiting[0][6] == audio {
		it.waiting = it.waiting[1:]
	}
}

// hear takes one frame; an error ends the connection.
func (c *connection) hear(kind byte, number uint32, body []byte) error {
	it := c.calls[number]
	switch {
	case kind >= 0x80 || kind == pong || kind == goaway:
		return nil
	case kind == failed && number == 0:
		return io.EOF
	case kind == ping:
		c.out.Write(frame(pong, 0, body))
	case kind == open:
		var start struct{ Codec string }
		if err := json.Unmarshal(body, &start); err != nil {
			return err
		}
		c.calls[number] = &call{}
		c.out.Write(frame(opened, number, nil))
		c.out.Write(frame(credit, number, count(window)))
	case it == nil:
		return fmt.Errorf("a frame of type 0x%02x in call %d", kind, number)
	case kind == stop || kind == failed:
		delete(c.calls, number)
	case kind == credit:
		it.credit += int(binary.BigEndian.Uint32(body))
		c.pay(number, nil)
	case it.isLeaving:
		return nil
	default:
		c.answer(it, kind, number, body)
		if it.taken++; it.taken == window/2 {
			c.out.Write(frame(credit, number, count(it.taken)))
			it.taken = 0
		}
	}
	return nil
}

// answer says back what asks for credit.
func (c *connection) answer(it *call, kind byte, number uint32, body []byte) {
	switch {
	case kind == audio && body[0]&1 != 0: // where frames are missing
		c.pay(number, frame(audio, number, append([]byte{body[0] &^ 1}, body[3:]...)))
	case kind == audio || kind == data || kind == jsonObject:
		c.pay(number, frame(kind, number, body))
	case kind == dtmf:
		switch body[0] {
		case 0:
			c.pay(number, frame(mark, number, []byte("before the key")))
		case 1:
			c.out.Write(frame(stop, number, []byte(`{"reason": "key 1"}`)))
			it.isLeaving = true
			return
		case 2:
			c.out.Write(frame(failed, number, []byte(`{"code": "failed", "reason": "key 2"}`)))
			it.isLeaving = true
			return
		case 3:
			c.out.Write(frame(clear, 0, nil))
			return
		case 4:
			c.out.Write(frame(goaway, 0, nil))
		}
		c.pay(number, frame(dtmf, number, body))
	case kind == mark:
		c.pay(number, frame(clear, number, nil))
	}
}

func (c *connection) serve() error {
	greeting := []byte("SVMUX\x01\x01\n")
	c.Write(greeting)
	theirs := make([]byte, 8)
	if _, err := io.ReadFull(c, theirs); err != nil {
		return err
	}
	if !bytes.Equal(theirs[:5], greeting[:5]) || theirs[5] > 1 || theirs[6] < 1 {
		return fmt.Errorf("greeted with %q", theirs)
	}
	var unread []byte
	buffer := make([]byte, 65536)
	for {
		read, err := c.Read(buffer)
		if err != nil {
			return err
		}
		unread = append(unread, buffer[:read]...)
		for len(unread) >= 7 {
			end := 7 + int(binary.BigEndian.Uint16(unread))
			if len(unread) < end {
				break
			}
			number := binary.BigEndian.Uint32(unread[2:])
			if err := c.hear(unread[6], number, bytes.Clone(unread[7:end])); err != nil {
				return err
			}
			unread = unread[end:]
		}
		c.Write(c.out.Bytes()) // all that came of one read, in one write
		c.out.Reset()
	}
}

func main() {
	listener, err := net.Listen(os.Args[1], os.Args[2])
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr())
	go func() {
		for {
			accepted, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer accepted.Close()
				c := &connection{Conn: accepted, calls: map[uint32]*call{}}
				if err := c.serve(); err != io.EOF {
					fmt.Fprintln(os.Stderr, err)
				}
			}()
		}
	}()
	io.Copy(io.Discard, os.Stdin)
	listener.Close()
}
