package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
	"sync"

	"connectrpc.com/connect"

	loggerv1 "interop/src/gen/capability/logger/v1"
	"interop/src/gen/capability/logger/v1/loggerv1connect"
	pluginv1 "interop/src/gen/connectplugin/v1"
	"interop/src/gen/connectplugin/v1/connectpluginv1connect"
	kvv1 "interop/src/gen/kv/v1"
	"interop/src/gen/kv/v1/kvv1connect"
)

// A plugin that provides kv.v1.KVService under the type PROVIDES (default "kv"). With HOST_URL it registers itself, before it
// answers anything, once; without, it waits for a host to give it an identity. NOWHERE leaves base_url out.
type plugin struct {
	selfID, provides, hostURL, baseURL string

	stop     chan struct{}
	stopOnce sync.Once

	mu             sync.Mutex
	id, token      string
	registrationID string
}

func envOr(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func runPlugin() {
	listener, url := listen()
	p := &plugin{selfID: envOr("SELF_ID", "go-plugin"), provides: envOr("PROVIDES", "kv"), hostURL: os.Getenv("HOST_URL"), baseURL: url, stop: make(chan struct{})}
	mux := http.NewServeMux()
	mux.Handle(kvv1connect.NewKVServiceHandler(newStore(p)))
	mux.Handle(connectpluginv1connect.NewPluginControlHandler(p))
	mux.Handle(connectpluginv1connect.NewPluginIdentityHandler(p))
	if p.hostURL == "" {
		mux.Handle(connectpluginv1connect.NewHandshakeServiceHandler(&handshake{plugin: "kv"}))
	} else if err := p.join(context.Background()); err != nil {
		log.Fatalf("cannot join %s: %v", p.hostURL, err)
	}
	serve(listener, url, mux, p.stop)
}

func (p *plugin) join(ctx context.Context) error {
	client := connectpluginv1connect.NewHandshakeServiceClient(http.DefaultClient, p.hostURL)
	answer, err := client.Handshake(ctx, connect.NewRequest(&pluginv1.HandshakeRequest{
		CoreProtocolVersion: 1,
		AppProtocolVersion:  1,
		MagicCookieKey:      cookieKey,
		MagicCookieValue:    cookieValue,
		ClientMetadata:      map[string]string{"client_version": "0.1.0"},
		SelfId:              p.selfID,
		SelfVersion:         "1.0.0",
	}))
	if err != nil {
		return err
	}
	if answer.Msg.CoreProtocolVersion != 1 || answer.Msg.AppProtocolVersion != 1 || answer.Msg.RuntimeToken == "" {
		return fmt.Errorf("the handshake answered %v", answer.Msg)
	}
	p.mu.Lock()
	p.id, p.token = answer.Msg.RuntimeId, answer.Msg.RuntimeToken
	p.mu.Unlock()
	if err := p.register(ctx); err != nil {
		return err
	}
	return p.report(ctx, pluginv1.HealthState_HEALTH_STATE_HEALTHY)
}

// proved adds the two headers that prove the identity.
func proved[T any](p *plugin, message *T) *connect.Request[T] {
	p.mu.Lock()
	defer p.mu.Unlock()
	request := connect.NewRequest(message)
	request.Header().Set("X-Plugin-Runtime-ID", p.id)
	request.Header().Set("Authorization", "Bearer "+p.token)
	return request
}

func (p *plugin) registry() connectpluginv1connect.ServiceRegistryClient {
	return connectpluginv1connect.NewServiceRegistryClient(http.DefaultClient, p.hostURL)
}

func (p *plugin) register(ctx context.Context) error {
	metadata := map[string]string{"base_url": p.baseURL}
	if os.Getenv("NOWHERE") != "" {
		metadata = nil
	}
	answer, err := p.registry().RegisterService(ctx, proved(p, &pluginv1.RegisterServiceRequest{
		ServiceType: p.provides, Version: "1.0.0", EndpointPath: "/kv.v1.KVService/", Metadata: metadata,
	}))
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.registrationID = answer.Msg.RegistrationId
	return nil
}

func (p *plugin) report(ctx context.Context, state pluginv1.HealthState) error {
	client := connectpluginv1connect.NewPluginLifecycleClient(http.DefaultClient, p.hostURL)
	_, err := client.ReportHealth(ctx, proved(p, &pluginv1.ReportHealthRequest{State: state}))
	return err
}

// told does what the keys "report" and "unregister" ask for, and logs through a capability for "log".
func (p *plugin) told(ctx context.Context, key, value string) (bool, error) {
	switch key {
	case "report":
		return true, p.report(ctx, pluginv1.HealthState(pluginv1.HealthState_value["HEALTH_STATE_"+value]))
	case "unregister":
		_, err := p.registry().UnregisterService(ctx, proved(p, &pluginv1.UnregisterServiceRequest{RegistrationId: p.registrationID}))
		return true, err
	case "log":
		return true, p.log(ctx, value)
	}
	return false, nil
}

func (p *plugin) log(ctx context.Context, message string) error {
	broker := connectpluginv1connect.NewCapabilityBrokerClient(http.DefaultClient, p.hostURL)
	answer, err := broker.RequestCapability(ctx, proved(p, &pluginv1.RequestCapabilityRequest{CapabilityType: "logger", Reason: "to log"}))
	if err != nil {
		return err
	}
	grant := answer.Msg.Grant
	request := connect.NewRequest(&loggerv1.LogRequest{Level: "info", Message: message})
	request.Header().Set("Authorization", "Bearer "+grant.BearerToken)
	_, err = loggerv1connect.NewLoggerClient(http.DefaultClient, grant.EndpointUrl).Log(ctx, request)
	return err
}

// askAnother calls whom the host names for a service type, through the host.
func (p *plugin) askAnother(ctx context.Context, serviceType, key string) (*connect.Response[kvv1.GetResponse], error) {
	found, err := p.registry().DiscoverService(ctx, proved(p, &pluginv1.DiscoverServiceRequest{ServiceType: serviceType}))
	if err != nil {
		return nil, err
	}
	// A path of the client is /kv.v1.KVService/Get; what is registered ends there, so the last part is all that is left.
	routed := connect.NewClient[kvv1.GetRequest, kvv1.GetResponse](http.DefaultClient, p.hostURL+found.Msg.Endpoint.EndpointUrl+"/Get")
	answer, err := routed.CallUnary(ctx, proved(p, &kvv1.GetRequest{Key: key}))
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(answer.Msg), nil
}

// watchService tells what a watch at the host tells: the state as the key, the provider as the value.
func (p *plugin) watchService(ctx context.Context, serviceType string, to *connect.ServerStream[kvv1.WatchEvent]) error {
	events, err := p.registry().WatchService(ctx, proved(p, &pluginv1.WatchServiceRequest{ServiceType: serviceType}))
	if err != nil {
		return err
	}
	defer events.Close()
	for events.Receive() {
		state := strings.TrimPrefix(events.Msg().State.String(), "SERVICE_STATE_")
		if err := to.Send(&kvv1.WatchEvent{Key: state, Value: []byte(events.Msg().Endpoint.GetProviderId())}); err != nil {
			return err
		}
	}
	return events.Err()
}

func (p *plugin) GetHealth(context.Context, *connect.Request[pluginv1.GetHealthRequest]) (*connect.Response[pluginv1.GetHealthResponse], error) {
	return connect.NewResponse(&pluginv1.GetHealthResponse{State: pluginv1.HealthState_HEALTH_STATE_HEALTHY}), nil
}

func (p *plugin) Shutdown(context.Context, *connect.Request[pluginv1.ShutdownRequest]) (*connect.Response[pluginv1.ShutdownResponse], error) {
	p.stopOnce.Do(func() { close(p.stop) })
	return connect.NewResponse(&pluginv1.ShutdownResponse{Acknowledged: true}), nil
}

func (p *plugin) GetPluginInfo(context.Context, *connect.Request[pluginv1.GetPluginInfoRequest]) (*connect.Response[pluginv1.GetPluginInfoResponse], error) {
	return connect.NewResponse(&pluginv1.GetPluginInfoResponse{
		SelfId:      p.selfID,
		SelfVersion: "1.0.0",
		Provides:    []*pluginv1.ServiceDeclaration{{Type: p.provides, Version: "1.0.0", Path: "/kv.v1.KVService/"}},
		Requires:    []*pluginv1.ServiceDependency{{Type: "ts-kv"}, {Type: "go-kv"}, {Type: "come-and-go"}},
		Metadata:    map[string]string{"name": p.selfID, "version": "1.0.0"},
	}), nil
}

// SetRuntimeIdentity keeps the identity. It registers nothing afterwards: the client of connect-plugin-go cannot, then.
func (p *plugin) SetRuntimeIdentity(_ context.Context, req *connect.Request[pluginv1.SetRuntimeIdentityRequest]) (*connect.Response[pluginv1.SetRuntimeIdentityResponse], error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.id, p.token = req.Msg.RuntimeId, req.Msg.RuntimeToken
	if req.Msg.HostUrl != "" {
		p.hostURL = req.Msg.HostUrl
	}
	return connect.NewResponse(&pluginv1.SetRuntimeIdentityResponse{Acknowledged: true}), nil
}
