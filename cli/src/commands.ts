/** Every command of meshctl, by its name with `:` for a space. A command that is not listed here does not exist. */
import type { Command } from '@oclif/core';
import CertsExport from './commands/certs/export.ts';
import CertsList from './commands/certs/list.ts';
import CertsShow from './commands/certs/show.ts';
import Check from './commands/check.ts';
import Config from './commands/config.ts';
import DevDown from './commands/dev/down.ts';
import DevExec from './commands/dev/exec.ts';
import DevKill from './commands/dev/kill.ts';
import DevLogs from './commands/dev/logs.ts';
import DevRestart from './commands/dev/restart.ts';
import DevStatus from './commands/dev/status.ts';
import DevUp from './commands/dev/up.ts';
import Edges from './commands/edges.ts';
import Inject from './commands/inject.ts';
import Install from './commands/install.ts';
import Logs from './commands/logs.ts';
import ProxyStatus from './commands/proxy-status.ts';
import Stat from './commands/stat.ts';
import Uninject from './commands/uninject.ts';
import Uninstall from './commands/uninstall.ts';
import Upgrade from './commands/upgrade.ts';

export const commands: Readonly<Record<string, Command.Class>> = {
  stat: Stat,
  edges: Edges,
  'certs:list': CertsList,
  'certs:show': CertsShow,
  'certs:export': CertsExport,
  check: Check,
  install: Install,
  upgrade: Upgrade,
  uninstall: Uninstall,
  'proxy-status': ProxyStatus,
  config: Config,
  logs: Logs,
  inject: Inject,
  uninject: Uninject,
  'dev:up': DevUp,
  'dev:down': DevDown,
  'dev:status': DevStatus,
  'dev:logs': DevLogs,
  'dev:exec': DevExec,
  'dev:kill': DevKill,
  'dev:restart': DevRestart,
};
