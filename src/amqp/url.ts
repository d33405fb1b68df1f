import { maskUrl } from '../config/mask-url.ts';
import { IsolambdaError } from '../errors/error.ts';

/** The broker and the options that the first AMQP runtime of this contract used; every command falls back to it. */
export const DEFAULT_AMQP_URL = 'amqp://localhost:5672?connection_attempts=20&retry_delay=10&heartbeat=0';

/** An AMQP URL, taken apart and checked. */
export interface BrokerUrl {
  readonly protocol: 'amqp' | 'amqps';
  readonly hostname: string;
  readonly port: number;
  readonly username: string;
  readonly password: string;
  readonly vhost: string;
  /** Failed attempts in a row before the link gives up. */
  readonly connectionAttempts: number;
  /** The longest pause between two attempts, in milliseconds; the URL gives seconds. */
  readonly retryDelayMs: number;
  /** Seconds; 0 switches heartbeats off, undefined leaves it to the broker. */
  readonly heartbeatS: number | undefined;
  /** How long one attempt may take, in milliseconds; the URL gives seconds. */
  readonly connectTimeoutMs: number;
  readonly frameMax: number | undefined;
  readonly channelMax: number | undefined;
  /** The URL with its password masked: the only form that may be logged. */
  readonly masked: string;
}

interface NumberOption {
  readonly default: number | undefined;
  readonly min: number;
  readonly max: number;
  readonly whole: boolean;
}

const NUMBERS = {
  connection_attempts: { default: 20, min: 1, max: 1_000_000, whole: true },
  retry_delay: { default: 10, min: 0, max: 3_600, whole: false },
  heartbeat: { default: undefined, min: 0, max: 65_535, whole: true },
  socket_timeout: { default: 10, min: 0.01, max: 3_600, whole: false },
  frame_max: { default: undefined, min: 4_096, max: 0xffff_ffff, whole: true },
  channel_max: { default: undefined, min: 1, max: 65_535, whole: true },
} as const satisfies Record<string, NumberOption>;
type NumberName = keyof typeof NUMBERS;

/** Understood by clients of other languages, without a meaning here: taken and passed over. */
const PASSED_OVER: ReadonlySet<string> = new Set([
  'blocked_connection_timeout',
  'stack_timeout',
  'locale',
  'backpressure_detection',
  'tcp_options',
]);

/**
 * Parses `amqp://[user:password@]host[:port][/vhost][?option=value&...]`. Times in the URL are seconds.
 * Throws IsolambdaError `configuration`, which never holds the password.
 */
export function parseBrokerUrl(text: string = DEFAULT_AMQP_URL): BrokerUrl {
  const masked = maskUrl(text);
  const refuse = (what: string): never => {
    throw new IsolambdaError(
      'configuration',
      `AMQP URL ${masked}: ${what}; write amqp://user:password@host:port/vhost?option=value`,
    );
  };
  if (!URL.canParse(text)) return refuse('not a URL');
  const url = new URL(text);
  const protocol = url.protocol.slice(0, -1);
  if (protocol !== 'amqp' && protocol !== 'amqps') return refuse(`"${protocol}" is neither amqp nor amqps`);
  if (url.hostname === '') return refuse('it names no host');
  const decode = (part: string): string => {
    try {
      return decodeURIComponent(part);
    } catch {
      return refuse('it holds a broken %-escape');
    }
  };
  const options = numberOptions(url.searchParams, refuse);
  const named = url.username !== '' || url.password !== '';
  return {
    protocol,
    hostname: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? (protocol === 'amqp' ? 5672 : 5671) : Number(url.port),
    username: named ? decode(url.username) : 'guest',
    password: named ? decode(url.password) : 'guest',
    vhost: url.pathname.length > 1 ? decode(url.pathname.slice(1)) : '/',
    connectionAttempts: options.connection_attempts ?? NUMBERS.connection_attempts.default,
    retryDelayMs: (options.retry_delay ?? NUMBERS.retry_delay.default) * 1_000,
    heartbeatS: options.heartbeat,
    connectTimeoutMs: (options.socket_timeout ?? NUMBERS.socket_timeout.default) * 1_000,
    frameMax: options.frame_max,
    channelMax: options.channel_max,
    masked,
  };
}

function numberOptions(
  given: URLSearchParams,
  refuse: (what: string) => never,
): Partial<Record<NumberName, number>> {
  const options: Partial<Record<NumberName, number>> = {};
  for (const [name, value] of given) {
    if (PASSED_OVER.has(name)) continue;
    // An option that nobody reads is a misspelling: passed over in silence it would cost somebody an afternoon.
    if (!isNumberName(name))
      return refuse(`unknown option "${name}" (there are ${Object.keys(NUMBERS).join(', ')})`);
    const { min, max, whole }: NumberOption = NUMBERS[name];
    const number = value.trim() === '' ? Number.NaN : Number(value);
    if (!(number >= min && number <= max) || (whole && !Number.isInteger(number)))
      return refuse(`${name}=${value} is not a ${whole ? 'whole ' : ''}number from ${min} to ${max}`);
    options[name] = number;
  }
  return options;
}

function isNumberName(name: string): name is NumberName {
  return Object.hasOwn(NUMBERS, name);
}
