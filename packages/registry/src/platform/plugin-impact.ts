/** What the removal of a plugin does to others. */
export interface PluginImpact {
  /** Its id in the platform. */
  readonly plugin: string;
  /** Types that nobody provides any more. */
  readonly servicesLost: readonly string[];
  /** Plugins that lose a service which they cannot do without, directly or as one that they need breaks. */
  readonly breaks: readonly PluginEffect[];
  /** Plugins that lose a service and go on. */
  readonly degrades: readonly PluginEffect[];
  /** Plugins that use another provider from then on. */
  readonly reroutes: readonly PluginEffect[];
}

export interface PluginEffect {
  /** Id in the platform; of a plugin that came by itself: its runtime id. */
  readonly plugin: string;
  /** Its own name, if it is known. */
  readonly selfId: string | undefined;
  /** The service types that it is about. */
  readonly types: readonly string[];
  /** Because of the plugin itself, rather than of one that breaks with it. */
  readonly direct: boolean;
}
