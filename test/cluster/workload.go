// What runs in the containers of the cluster's tests: one static program without a shell around it.
//
//	workload pause                    holds a pod's namespaces, and reaps what is orphaned in them
//	workload serve [-fail FILE]       answers HTTP with the pod's name on 8080, TCP lines on 7000, UDP on 5353
//	workload check FILE               succeeds while the file does not exist: a probe by exec
//	workload touch FILE               makes it
//	workload netns                    prints which network namespace it is in
//	workload probe [-timeout D] TARGET...   says of each tcp/HOST:PORT or udp/HOST:PORT what became of an attempt
//	workload hold -for D HOST:PORT    keeps one connection to port 7000 busy; fails when it is cut or stalls
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		fail("expected pause, serve, check, touch, netns, probe or hold")
	}
	args := os.Args[2:]
	switch os.Args[1] {
	case "pause":
		pause()
	case "serve":
		serve(args)
	case "check":
		check(args)
	case "touch":
		if err := os.WriteFile(args[0], nil, 0o644); err != nil {
			fail(err.Error())
		}
	case "netns":
		name, err := os.Readlink("/proc/self/ns/net")
		if err != nil {
			fail(err.Error())
		}
		fmt.Println(name)
	case "probe":
		probe(args)
	case "hold":
		hold(args)
	default:
		fail("no command " + os.Args[1])
	}
}

func fail(message string) {
	fmt.Fprintln(os.Stderr, message)
	os.Exit(1)
}

// As process 1 of a container a program gets no signal that it does not ask for.
func ended() chan os.Signal {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	return signals
}

func pause() {
	end := ended()
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	for {
		select {
		case <-end:
			return
		case <-children:
			for {
				if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
					break
				}
			}
		}
	}
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

func check(args []string) {
	if len(args) != 1 || exists(args[0]) {
		fail("not well")
	}
}

func serve(args []string) {
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	failing := flags.String("fail", "/tmp/fail", "while this file exists, /healthz answers 500")
	flags.Parse(args)
	name, _ := os.Hostname()
	http.HandleFunc("/", func(out http.ResponseWriter, in *http.Request) {
		fmt.Fprintf(out, "%s to %s\n", name, in.RemoteAddr)
	})
	http.HandleFunc("/healthz", func(out http.ResponseWriter, in *http.Request) {
		if exists(*failing) {
			out.WriteHeader(http.StatusInternalServerError)
		}
	})
	go func() { fail(http.ListenAndServe(":8080", nil).Error()) }()
	go serveLines(":7000")
	go serveDatagrams(":5353", name)
	fmt.Println("serving as", name)
	<-ended()
	fmt.Println("ended")
}

func serveLines(address string) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		fail(err.Error())
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			fail(err.Error())
		}
		go func() {
			defer connection.Close()
			lines := bufio.NewScanner(connection)
			for lines.Scan() {
				if _, err := fmt.Fprintln(connection, lines.Text()); err != nil {
					return
				}
			}
		}()
	}
}

func serveDatagrams(address, name string) {
	socket, err := net.ListenPacket("udp", address)
	if err != nil {
		fail(err.Error())
	}
	buffer := make([]byte, 1500)
	for {
		_, sender, err := socket.ReadFrom(buffer)
		if err != nil {
			fail(err.Error())
		}
		socket.WriteTo([]byte(name), sender)
	}
}

// One line for each target, in their order: the target, a blank, and allowed, denied, refused or an error.
func probe(args []string) {
	flags := flag.NewFlagSet("probe", flag.ExitOnError)
	timeout := flags.Duration("timeout", time.Second, "after which an attempt without an answer is denied")
	flags.Parse(args)
	verdicts := make([]string, flags.NArg())
	var attempts sync.WaitGroup
	for index, target := range flags.Args() {
		attempts.Add(1)
		go func() {
			defer attempts.Done()
			verdicts[index] = attempt(target, *timeout)
		}()
	}
	attempts.Wait()
	for index, target := range flags.Args() {
		fmt.Println(target, verdicts[index])
	}
}

func attempt(target string, timeout time.Duration) string {
	protocol, address, _ := strings.Cut(target, "/")
	connection, err := net.DialTimeout(protocol, address, timeout)
	if err != nil {
		return verdict(err)
	}
	defer connection.Close()
	if protocol == "tcp" {
		return "allowed"
	}
	deadline := time.Now().Add(timeout)
	buffer := make([]byte, 1500)
	// A datagram may be lost for other reasons than a policy.
	for time.Now().Before(deadline) {
		connection.Write([]byte("?"))
		connection.SetReadDeadline(time.Now().Add(timeout / 4))
		_, err = connection.Read(buffer)
		if err == nil {
			return "allowed"
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
	}
	return verdict(err)
}

func verdict(err error) string {
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return "denied"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	default:
		return strings.ReplaceAll(err.Error(), " ", "-")
	}
}

// Sends a number ten times a second and wants it back; TCP may repeat what was lost, but not for longer than -stall.
func hold(args []string) {
	flags := flag.NewFlagSet("hold", flag.ExitOnError)
	length := flags.Duration("for", time.Minute, "how long")
	stall := flags.Duration("stall", 10*time.Second, "longest wait for an answer")
	flags.Parse(args)
	connection, err := net.DialTimeout("tcp", flags.Arg(0), 5*time.Second)
	if err != nil {
		fail("cannot connect: " + err.Error())
	}
	fmt.Println("connected from", connection.LocalAddr())
	answers := bufio.NewScanner(connection)
	end, stop := time.Now().Add(*length), ended()
	var longest time.Duration
	count := 0
	for time.Now().Before(end) {
		began := time.Now()
		connection.SetDeadline(began.Add(*stall))
		text := fmt.Sprint(count)
		if _, err := fmt.Fprintln(connection, text); err != nil {
			fail(fmt.Sprintf("cut after %d answers: %v", count, err))
		}
		if !answers.Scan() || answers.Text() != text {
			fail(fmt.Sprintf("cut after %d answers: %v", count, answers.Err()))
		}
		longest = max(longest, time.Since(began))
		count++
		select {
		case <-stop:
			end = began
		case <-time.After(100 * time.Millisecond):
		}
	}
	fmt.Printf("held: %d answers, the longest wait %d ms\n", count, longest.Milliseconds())
}
