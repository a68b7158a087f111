import { checkClusterOptions } from '../options/cluster.cjs';
import { checkDrainOptions } from '../options/drain.cjs';
import { checkReloadOptions } from '../options/reload.cjs';
import { checkShutdownOptions, checkStartOptions } from '../options/start.cjs';
import { joinCluster as joinBus } from '../native/join-cluster.cjs';
import type { ClusterOptions } from '../types/cluster-options.cjs';
import type {
  DrainOptions,
  DrainReport,
  Server,
  ShutdownOptions,
  ShutdownReport,
} from '../types/server.cjs';
import type { StartOptions } from '../types/start-options.cjs';
import type { ReloadOptions, ReloadReport } from '../types/worker-threads.cjs';
import { drainAll } from './drain.cjs';
import { shutdownAll, shutdownHere, startServer } from './lifecycle.cjs';
import { reload } from './reload.cjs';
import { watchModules } from './watch.cjs';

// The public functions that servers begin and end with. Loaded by `on-demand.cts`.

export async function start(options: StartOptions): Promise<Server> {
  const server = await startServer(checkStartOptions(options));
  watchModules();
  return server;
}

export function joinCluster(options: Omit<ClusterOptions, 'required'>): void {
  const known = ['redis', 'prefix', 'instanceId', 'maxOutgoing', 'onBus'];
  joinBus(checkClusterOptions('joinCluster', 'options', options, known));
}

export async function shutdown(options: ShutdownOptions | undefined): Promise<ShutdownReport> {
  const { code, timeout } = checkShutdownOptions(options);
  return shutdownAll(code, timeout);
}

export async function drain(options: DrainOptions | undefined): Promise<DrainReport> {
  const { native: checked, onProgress } = checkDrainOptions(options);
  return drainAll(checked, onProgress);
}

export async function reloadWorkers(options: ReloadOptions | undefined): Promise<ReloadReport> {
  return reload(checkReloadOptions(options));
}

export { shutdownHere };
