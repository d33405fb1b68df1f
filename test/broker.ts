/**
 * The RabbitMQ that tests talk to: the one at AMQP_URL where it answers, else one of this test file's own.
 * Nothing here stands in for a broker.
 */
import { execFile, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { promisify } from 'node:util';
import { endServer, freePorts, launchServer } from './server-process.ts';

const DEFAULT_URL = 'amqp://guest:guest@127.0.0.1:5672';
/** Debian's wrappers in /usr/sbin insist on the system's broker; these are what they wrap. */
const BIN = '/usr/lib/rabbitmq/bin';

const HOW =
  'start one: apt-get install rabbitmq-server, or docker run --rm -p 5672:5672 rabbitmq:4, and set AMQP_URL where it is not ' +
  DEFAULT_URL;

/** A broker process that belongs to one test file: it may be stopped, restarted and commanded. */
export interface OwnBroker {
  readonly url: string;
  /** `rabbitmqctl` on it; returns its output. */
  ctl(...args: string[]): Promise<string>;
  /** Closes all connections whose name begins so, as an operator does; returns how many. */
  closeConnections(namePrefix: string): Promise<number>;
  /** Stops it and starts it again, with its durable queues and persistent messages. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

const started: OwnBroker[] = [];
// Registered while the file loads, so that it runs after the file's last test, whoever asked for the broker.
after(async () => {
  await Promise.all(started.map((broker) => broker.stop()));
});

let shared: Promise<string> | undefined;

/** URL of a broker that answers. Where none does at AMQP_URL, one is started and ended with this test file. */
export function brokerUrl(): Promise<string> {
  return (shared ??= findBroker());
}

async function findBroker(): Promise<string> {
  const url = process.env.AMQP_URL ?? DEFAULT_URL;
  const { hostname, port } = new URL(url);
  if (await answers(hostname, Number(port || 5672))) return url;
  return (await startBroker()).url;
}

/** Starts a broker of our own on a free port; it ends with this test file. */
export async function startBroker(): Promise<OwnBroker> {
  if (!existsSync(join(BIN, 'rabbitmq-server')))
    throw new Error(
      `no RabbitMQ answers at ${process.env.AMQP_URL ?? DEFAULT_URL}, and ${BIN} has none: ${HOW}`,
    );
  const home = await mkdtemp(join(tmpdir(), 'isolambda-broker-'));
  const [port, distributionPort] = await freePorts(2);
  const env = {
    PATH: '/usr/bin:/bin',
    HOME: home,
    RABBITMQ_NODENAME: `isolambda-${process.pid}-${port}@localhost`,
    RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
    RABBITMQ_NODE_PORT: String(port),
    RABBITMQ_DIST_PORT: String(distributionPort),
    RABBITMQ_MNESIA_BASE: join(home, 'mnesia'),
    RABBITMQ_LOG_BASE: join(home, 'log'),
    RABBITMQ_LOGS: '-',
    RABBITMQ_PID_FILE: join(home, 'pid'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(home, 'plugins'),
    RABBITMQ_CONFIG_FILE: join(home, 'none'),
  };
  let server = await launch(env, home, port ?? 0);
  const ctl = async (...args: string[]): Promise<string> => {
    const { stdout } = await promisify(execFile)(join(BIN, 'rabbitmqctl'), ['--quiet', ...args], {
      env,
      cwd: home,
    });
    return stdout;
  };
  const stop = async (): Promise<void> => {
    await endServer('RabbitMQ', server);
    await rm(home, { recursive: true, force: true });
  };
  const broker: OwnBroker = {
    url: `amqp://guest:guest@127.0.0.1:${port}`,
    ctl,
    closeConnections: async (namePrefix) => {
      // One command for all of it: each costs the start of an Erlang machine.
      const count = await ctl(
        'eval',
        `Prefix = <<"${namePrefix}">>,
         Named = [Pid || Pid <- rabbit_networking:connections(),
           [{client_properties, Properties}] <- [rabbit_networking:connection_info(Pid, [client_properties])],
           {_, longstr, Name} <- [lists:keyfind(<<"connection_name">>, 1, Properties)],
           binary:match(Name, Prefix) =:= {0, byte_size(Prefix)}],
         [rabbit_networking:close_connection(Pid, "closed by a test") || Pid <- Named],
         length(Named).`,
      );
      return Number(count);
    },
    restart: async () => {
      await endServer('RabbitMQ', server);
      server = await launch(env, home, port ?? 0);
    },
    stop,
  };
  started.push(broker);
  return broker;
}

const launch = (env: NodeJS.ProcessEnv, cwd: string, port: number): Promise<ChildProcess> =>
  launchServer({
    name: 'RabbitMQ',
    command: join(BIN, 'rabbitmq-server'),
    env,
    cwd,
    endBy: 'TERM',
    answers: () => answers('127.0.0.1', port),
    how: HOW,
  });

/** A broker says something to a client that greets it in its protocol; a port that merely accepts is none. */
function answers(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host, () => socket.write('AMQP\x00\x00\x09\x01'));
    const end = (yes: boolean): void => {
      socket.destroy();
      resolve(yes);
    };
    socket.setTimeout(2_000, () => end(false));
    socket.on('data', () => end(true));
    socket.on('error', () => end(false));
    socket.on('close', () => end(false));
  });
}
