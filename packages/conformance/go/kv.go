package main

import (
	"context"
	"strings"
	"sync"

	"connectrpc.com/connect"

	kvv1 "interop/src/gen/kv/v1"
)

// A store in memory. Keys that begin with "ask:" and "log:", and watches of "service:", are for the plugin around it.
type store struct {
	mu       sync.Mutex
	values   map[string][]byte
	watchers map[chan *kvv1.WatchEvent]string
	plugin   *plugin
}

func newStore(p *plugin) *store {
	return &store{values: map[string][]byte{}, watchers: map[chan *kvv1.WatchEvent]string{}, plugin: p}
}

func (s *store) changed(event *kvv1.WatchEvent) {
	for watcher, prefix := range s.watchers {
		if strings.HasPrefix(event.Key, prefix) {
			watcher <- event
		}
	}
}

func (s *store) Get(ctx context.Context, req *connect.Request[kvv1.GetRequest]) (*connect.Response[kvv1.GetResponse], error) {
	if rest, ok := strings.CutPrefix(req.Msg.Key, "ask:"); ok && s.plugin != nil {
		serviceType, key, _ := strings.Cut(rest, ":")
		return s.plugin.askAnother(ctx, serviceType, key)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if req.Msg.Key == "caller" {
		return connect.NewResponse(&kvv1.GetResponse{Found: true, Value: []byte(req.Header().Get("X-Plugin-Caller-ID"))}), nil
	}
	value, found := s.values[req.Msg.Key]
	return connect.NewResponse(&kvv1.GetResponse{Value: value, Found: found}), nil
}

func (s *store) Put(ctx context.Context, req *connect.Request[kvv1.PutRequest]) (*connect.Response[kvv1.PutResponse], error) {
	if s.plugin != nil {
		if done, err := s.plugin.told(ctx, req.Msg.Key, string(req.Msg.Value)); done || err != nil {
			return connect.NewResponse(&kvv1.PutResponse{}), err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values[req.Msg.Key] = req.Msg.Value
	s.changed(&kvv1.WatchEvent{Type: kvv1.EventType_EVENT_TYPE_PUT, Key: req.Msg.Key, Value: req.Msg.Value})
	return connect.NewResponse(&kvv1.PutResponse{}), nil
}

func (s *store) Delete(_ context.Context, req *connect.Request[kvv1.DeleteRequest]) (*connect.Response[kvv1.DeleteResponse], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, found := s.values[req.Msg.Key]
	delete(s.values, req.Msg.Key)
	if found {
		s.changed(&kvv1.WatchEvent{Type: kvv1.EventType_EVENT_TYPE_DELETE, Key: req.Msg.Key})
	}
	return connect.NewResponse(&kvv1.DeleteResponse{Found: found}), nil
}

func (s *store) Watch(ctx context.Context, req *connect.Request[kvv1.WatchRequest], stream *connect.ServerStream[kvv1.WatchEvent]) error {
	if serviceType, ok := strings.CutPrefix(req.Msg.Prefix, "service:"); ok && s.plugin != nil {
		return s.plugin.watchService(ctx, serviceType, stream)
	}
	events := make(chan *kvv1.WatchEvent, 100)
	s.mu.Lock()
	s.watchers[events] = req.Msg.Prefix
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.watchers, events)
		s.mu.Unlock()
	}()
	if err := stream.Send(&kvv1.WatchEvent{}); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case event := <-events:
			if err := stream.Send(event); err != nil {
				return err
			}
		}
	}
}
