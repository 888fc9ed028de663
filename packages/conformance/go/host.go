package main

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"

	pluginv1 "interop/src/gen/connectplugin/v1"
	"interop/src/gen/connectplugin/v1/connectpluginv1connect"
)

// Answers handshakes, with an identity for those who name themselves.
type handshake struct {
	plugin string
	mu     sync.Mutex
	tokens map[string]string
}

func (h *handshake) Handshake(_ context.Context, req *connect.Request[pluginv1.HandshakeRequest]) (*connect.Response[pluginv1.HandshakeResponse], error) {
	if req.Msg.MagicCookieKey != cookieKey || req.Msg.MagicCookieValue != cookieValue || req.Msg.CoreProtocolVersion != 1 {
		return nil, connect.NewError(connect.CodeInvalidArgument, errors.New("wrong cookie or core version"))
	}
	if req.Msg.AppProtocolVersion != 1 {
		return nil, connect.NewError(connect.CodeFailedPrecondition, errors.New("version mismatch"))
	}
	answer := &pluginv1.HandshakeResponse{CoreProtocolVersion: 1, AppProtocolVersion: 1}
	for _, name := range req.Msg.RequestedPlugins {
		if name == h.plugin {
			answer.Plugins = append(answer.Plugins, &pluginv1.PluginInfo{Name: name, Version: "1.0.0", ServicePath: "/kv.v1.KVService/"})
		}
	}
	if req.Msg.SelfId != "" && h.tokens != nil {
		answer.RuntimeId = strings.ToLower(req.Msg.SelfId) + "-" + rand.Text()[:4]
		answer.RuntimeToken = rand.Text()
		h.mu.Lock()
		h.tokens[answer.RuntimeId] = answer.RuntimeToken
		h.mu.Unlock()
	}
	return connect.NewResponse(answer), nil
}

type provider struct {
	registrationID, id, serviceType, version, path string
	metadata                                       map[string]string
}

// A host as connect-plugin-go makes one: registrations are believed by their runtime id, only routed calls show a token, and
// these are passed on over HTTP/1.1, answers whole, within 30 s.
type host struct {
	handshake
	providers []*provider
	health    map[string]pluginv1.HealthState
	endpoints map[string]string
	watchers  map[chan struct{}]struct{}
	// Nobody who watches services hears of health, as with connect-plugin-go.
	reports map[chan struct{}]struct{}
}

func runHost() {
	h := &host{
		handshake: handshake{tokens: map[string]string{}},
		health:    map[string]pluginv1.HealthState{},
		endpoints: map[string]string{},
		watchers:  map[chan struct{}]struct{}{},
		reports:   map[chan struct{}]struct{}{},
	}
	listener, url := listen()
	mux := http.NewServeMux()
	mux.Handle(connectpluginv1connect.NewHandshakeServiceHandler(&h.handshake))
	mux.Handle(connectpluginv1connect.NewPluginLifecycleHandler(h))
	mux.Handle(connectpluginv1connect.NewServiceRegistryHandler(h))
	mux.HandleFunc("/services/", h.route)
	mux.HandleFunc("/manage", h.manage)
	mux.HandleFunc("/stop", func(w http.ResponseWriter, r *http.Request) { h.stop(w, r) })
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // ends with the program that started it
		os.Exit(0)
	}()
	serve(listener, url, mux, nil)
}

func callerID(header http.Header) (string, error) {
	if id := header.Get("X-Plugin-Runtime-ID"); id != "" {
		return id, nil
	}
	return "", connect.NewError(connect.CodeInvalidArgument, errors.New("X-Plugin-Runtime-ID header required"))
}

// wake is called with the lock held.
func wake(watchers map[chan struct{}]struct{}) {
	for watcher := range watchers {
		select {
		case watcher <- struct{}{}:
		default:
		}
	}
}

func (h *host) ReportHealth(_ context.Context, req *connect.Request[pluginv1.ReportHealthRequest]) (*connect.Response[pluginv1.ReportHealthResponse], error) {
	id, err := callerID(req.Header())
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.health[id] = req.Msg.State
	wake(h.reports)
	return connect.NewResponse(&pluginv1.ReportHealthResponse{}), nil
}

func (h *host) RegisterService(_ context.Context, req *connect.Request[pluginv1.RegisterServiceRequest]) (*connect.Response[pluginv1.RegisterServiceResponse], error) {
	id, err := callerID(req.Header())
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	added := &provider{"reg-" + rand.Text(), id, req.Msg.ServiceType, req.Msg.Version, req.Msg.EndpointPath, req.Msg.Metadata}
	h.providers = append(h.providers, added)
	wake(h.watchers)
	return connect.NewResponse(&pluginv1.RegisterServiceResponse{RegistrationId: added.registrationID}), nil
}

func (h *host) UnregisterService(_ context.Context, req *connect.Request[pluginv1.UnregisterServiceRequest]) (*connect.Response[pluginv1.UnregisterServiceResponse], error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, p := range h.providers {
		if p.registrationID == req.Msg.RegistrationId {
			h.providers = append(h.providers[:i:i], h.providers[i+1:]...)
			wake(h.watchers)
			return connect.NewResponse(&pluginv1.UnregisterServiceResponse{}), nil
		}
	}
	return nil, connect.NewError(connect.CodeNotFound, errors.New("registration not found"))
}

// pick returns the first provider that is not unhealthy. Called with the lock held.
func (h *host) pick(serviceType string) *pluginv1.ServiceEndpoint {
	for _, p := range h.providers {
		if p.serviceType == serviceType && h.health[p.id] != pluginv1.HealthState_HEALTH_STATE_UNHEALTHY {
			return &pluginv1.ServiceEndpoint{ProviderId: p.id, Version: p.version, EndpointUrl: "/services/" + serviceType + "/" + p.id, Metadata: p.metadata}
		}
	}
	return nil
}

func (h *host) DiscoverService(_ context.Context, req *connect.Request[pluginv1.DiscoverServiceRequest]) (*connect.Response[pluginv1.DiscoverServiceResponse], error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	endpoint := h.pick(req.Msg.ServiceType)
	if endpoint == nil {
		return nil, connect.NewError(connect.CodeNotFound, errors.New("no providers"))
	}
	return connect.NewResponse(&pluginv1.DiscoverServiceResponse{Endpoint: endpoint, SingleProvider: true}), nil
}

func (h *host) WatchService(ctx context.Context, req *connect.Request[pluginv1.WatchServiceRequest], stream *connect.ServerStream[pluginv1.WatchServiceEvent]) error {
	changes := make(chan struct{}, 10)
	h.mu.Lock()
	h.watchers[changes] = struct{}{}
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		delete(h.watchers, changes)
		h.mu.Unlock()
	}()
	for {
		h.mu.Lock()
		event := &pluginv1.WatchServiceEvent{ServiceType: req.Msg.ServiceType, State: pluginv1.ServiceState_SERVICE_STATE_UNAVAILABLE}
		if endpoint := h.pick(req.Msg.ServiceType); endpoint != nil {
			event.State, event.Endpoint = pluginv1.ServiceState_SERVICE_STATE_AVAILABLE, endpoint
			if h.health[endpoint.ProviderId] == pluginv1.HealthState_HEALTH_STATE_DEGRADED {
				event.State = pluginv1.ServiceState_SERVICE_STATE_DEGRADED
			}
		}
		h.mu.Unlock()
		if err := stream.Send(event); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changes:
		}
	}
}

func (h *host) route(w http.ResponseWriter, r *http.Request) {
	parts := strings.SplitN(strings.TrimPrefix(r.URL.Path, "/services/"), "/", 3)
	if len(parts) < 3 {
		http.Error(w, "invalid service path", http.StatusBadRequest)
		return
	}
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	h.mu.Lock()
	known, ok := h.tokens[r.Header.Get("X-Plugin-Runtime-ID")]
	var to *provider
	for _, p := range h.providers {
		if p.id == parts[1] {
			to = p
		}
	}
	base := h.endpoints[parts[1]]
	health := h.health[parts[1]]
	h.mu.Unlock()
	switch {
	case !ok || known != token:
		http.Error(w, "invalid token", http.StatusUnauthorized)
		return
	case to == nil:
		http.Error(w, "provider not found", http.StatusNotFound)
		return
	case health == pluginv1.HealthState_HEALTH_STATE_UNHEALTHY:
		http.Error(w, "provider unhealthy", http.StatusServiceUnavailable)
		return
	}
	if base == "" {
		base = to.metadata["base_url"]
	}
	passed, err := http.NewRequestWithContext(r.Context(), r.Method, base+to.path+parts[2], r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	passed.Header = r.Header.Clone()
	passed.Header.Del("Authorization")
	passed.Header.Del("X-Plugin-Runtime-ID")
	answer, err := (&http.Client{Timeout: 30 * time.Second}).Do(passed)
	if err != nil {
		http.Error(w, "failed to proxy request", http.StatusBadGateway)
		return
	}
	defer answer.Body.Close()
	for key, values := range answer.Header {
		w.Header()[key] = values
	}
	w.WriteHeader(answer.StatusCode)
	_, _ = io.Copy(w, answer.Body)
}

// manage takes the plugin at ?endpoint= in: asks who it is, gives it an identity that is kept nowhere, and waits until it
// reports that it is healthy. Answers with its runtime id.
func (h *host) manage(w http.ResponseWriter, r *http.Request) {
	endpoint := r.URL.Query().Get("endpoint")
	plugin := connectpluginv1connect.NewPluginIdentityClient(http.DefaultClient, endpoint)
	info, err := plugin.GetPluginInfo(r.Context(), connect.NewRequest(&pluginv1.GetPluginInfoRequest{}))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	id := strings.ToLower(info.Msg.SelfId) + "-" + rand.Text()[:4]
	changes := make(chan struct{}, 10)
	h.mu.Lock()
	h.reports[changes] = struct{}{}
	h.mu.Unlock()
	identity := &pluginv1.SetRuntimeIdentityRequest{RuntimeId: id, RuntimeToken: rand.Text()}
	if _, err := plugin.SetRuntimeIdentity(r.Context(), connect.NewRequest(identity)); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	for {
		h.mu.Lock()
		healthy := h.health[id] == pluginv1.HealthState_HEALTH_STATE_HEALTHY
		if healthy {
			h.endpoints[id] = endpoint
			delete(h.reports, changes)
		}
		h.mu.Unlock()
		if healthy {
			_, _ = io.WriteString(w, id)
			return
		}
		select {
		case <-r.Context().Done():
			log.Printf("%s never became healthy", id)
			return
		case <-changes:
		}
	}
}

// stop asks the plugin at ?endpoint= to end, and answers with the status of that.
func (h *host) stop(w http.ResponseWriter, r *http.Request) {
	control := connectpluginv1connect.NewPluginControlClient(http.DefaultClient, r.URL.Query().Get("endpoint"))
	health, err := control.GetHealth(r.Context(), connect.NewRequest(&pluginv1.GetHealthRequest{}))
	if err == nil {
		_, err = control.Shutdown(r.Context(), connect.NewRequest(&pluginv1.ShutdownRequest{GracePeriodSeconds: 5, Reason: "removed"}))
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	_, _ = io.WriteString(w, health.Msg.State.String())
}
