package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"

	"connectrpc.com/connect"

	pluginv1 "interop/src/gen/connectplugin/v1"
	"interop/src/gen/connectplugin/v1/connectpluginv1connect"
	kvv1 "interop/src/gen/kv/v1"
	"interop/src/gen/kv/v1/kvv1connect"
)

// Dispenses the plugin "kv" of ENDPOINT and uses it, a stream included. Prints what came of it, a line each.
func runClient() {
	ctx := context.Background()
	endpoint := os.Getenv("ENDPOINT")
	answer, err := connectpluginv1connect.NewHandshakeServiceClient(http.DefaultClient, endpoint).Handshake(ctx, connect.NewRequest(&pluginv1.HandshakeRequest{
		CoreProtocolVersion: 1, AppProtocolVersion: 1, MagicCookieKey: cookieKey, MagicCookieValue: cookieValue, RequestedPlugins: []string{"kv"},
	}))
	check(err)
	if len(answer.Msg.Plugins) != 1 || answer.Msg.Plugins[0].Name != "kv" {
		log.Fatalf("the handshake offers %v", answer.Msg.Plugins)
	}
	fmt.Println("dispensed " + answer.Msg.Plugins[0].ServicePath)

	kv := kvv1connect.NewKVServiceClient(http.DefaultClient, endpoint)
	events, err := kv.Watch(ctx, connect.NewRequest(&kvv1.WatchRequest{Prefix: "a"}))
	check(err)
	if !events.Receive() {
		log.Fatal(events.Err())
	}
	_, err = kv.Put(ctx, connect.NewRequest(&kvv1.PutRequest{Key: "a.key", Value: []byte("größe")}))
	check(err)
	got, err := kv.Get(ctx, connect.NewRequest(&kvv1.GetRequest{Key: "a.key"}))
	check(err)
	fmt.Printf("got %s %v\n", got.Msg.Value, got.Msg.Found)
	deleted, err := kv.Delete(ctx, connect.NewRequest(&kvv1.DeleteRequest{Key: "a.key"}))
	check(err)
	fmt.Printf("deleted %v\n", deleted.Msg.Found)
	for range 2 {
		if !events.Receive() {
			log.Fatal(events.Err())
		}
		fmt.Printf("saw %s %s\n", events.Msg().Type, events.Msg().Key)
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
