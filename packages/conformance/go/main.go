// Peers for the interoperation tests, on connectrpc.com/connect and net/http: a plugin, a host and a client that behave on
// the wire as those of connect-plugin-go do. Each prints "listens on URL" when it can be called.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
)

func main() {
	if len(os.Args) < 2 {
		log.Fatal("usage: peers plugin|host|client")
	}
	switch os.Args[1] {
	case "plugin":
		runPlugin()
	case "host":
		runHost()
	case "client":
		runClient()
	default:
		log.Fatalf("there is no peer %q", os.Args[1])
	}
}

// listen takes PORT, by default any port that is free. HTTP/1.1 only, as the servers of connect-plugin-go.
func listen() (net.Listener, string) {
	port := os.Getenv("PORT")
	if port == "" {
		port = "0"
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		log.Fatal(err)
	}
	return listener, "http://" + listener.Addr().String()
}

// serve answers calls until stop is closed, if it ever is, and those in flight to their ends.
func serve(listener net.Listener, url string, mux *http.ServeMux, stop <-chan struct{}) {
	server := &http.Server{Handler: mux}
	ended := make(chan error, 1)
	go func() {
		<-stop
		ended <- server.Shutdown(context.Background())
	}()
	fmt.Println("listens on " + url)
	if err := server.Serve(listener); err != http.ErrServerClosed {
		log.Fatal(err)
	}
	if err := <-ended; err != nil {
		log.Fatal(err)
	}
}

const cookieKey, cookieValue = "CONNECT_PLUGIN", "d3f40b3c2e1a5f8b9c4d7e6a1b2c3d4e"
