/** An archive and its parameters, as a multipart form or as the zip itself. */
import '@fastify/multipart';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Readable } from 'node:stream';
import { IsolambdaError } from '../errors/error.ts';
import { checker } from '../schemas/check.ts';
import {
  DeployParameters,
  LambdaParameters,
  type DeployParameters as DeployParametersWire,
  type LambdaParameters as LambdaParametersWire,
} from '../schemas/index.ts';

export interface ReceivedUpload {
  readonly archive: Uint8Array;
  readonly parameters: LambdaParametersWire;
  readonly deployParameters: DeployParametersWire | undefined;
}

/** Types under which clients send a zip as the whole body. */
const ZIP_TYPES = ['application/zip', 'application/x-zip-compressed', 'application/octet-stream'];
/** Of `parameters` and `deploy_parameters`, each. */
const FIELD_BYTES = 1024 * 1024;
/** Room for the two fields and the lines between the parts. */
const FORM_OVERHEAD_BYTES = 2 * FIELD_BYTES + 64 * 1024;

const checkParameters = checker(LambdaParameters);
const checkDeployParameters = checker(DeployParameters);

/** A zip body is left on the wire: how much of it may be read depends on the account, which the handler knows. */
export function acceptZipBodies(app: FastifyInstance): void {
  app.addContentTypeParser(ZIP_TYPES, (_request, payload, done) => done(null, payload));
}

/** Reads an upload of at most `archiveBytes`. Errors: `archive_too_large`, `bad_request`, `unsupported_media_type`. */
export async function readUpload(request: FastifyRequest, archiveBytes: number): Promise<ReceivedUpload> {
  const declared = Number(request.headers['content-length'] ?? 0);
  if (request.isMultipart()) {
    if (declared > archiveBytes + FORM_OVERHEAD_BYTES) throw tooLarge(archiveBytes);
    return readForm(request, archiveBytes);
  }
  const { body, query } = request;
  if (!(body instanceof Readable))
    throw new IsolambdaError(
      'unsupported_media_type',
      'send the archive as the part "archive" of multipart/form-data, or as an application/zip body',
    );
  if (declared > archiveBytes) throw tooLarge(archiveBytes);
  const { parameters, deploy_parameters } = query as Record<string, unknown>;
  return {
    archive: await readBytes(body, archiveBytes),
    ...checked({ parameters, deploy_parameters }),
  };
}

async function readForm(request: FastifyRequest, archiveBytes: number): Promise<ReceivedUpload> {
  let archive: Uint8Array | undefined;
  const fields: Record<string, unknown> = {};
  const parts = request.parts({
    // Some clients give JSON parts a file name, and some give the archive none: the name decides.
    isPartAFile: (name) => name === 'archive',
    limits: {
      fileSize: archiveBytes,
      files: 1,
      fields: 2,
      parts: 3,
      fieldSize: FIELD_BYTES,
      fieldNameSize: 64,
    },
  });
  try {
    for await (const part of parts) {
      if (part.type === 'file') archive = await archiveOf(part.toBuffer(), archiveBytes);
      else if (part.fieldname !== 'parameters' && part.fieldname !== 'deploy_parameters')
        throw new IsolambdaError(
          'bad_request',
          `unknown part ${JSON.stringify(part.fieldname)}: archive, parameters and deploy_parameters are known`,
        );
      else if (part.valueTruncated)
        throw new IsolambdaError('bad_request', `${part.fieldname}: is larger than ${FIELD_BYTES} bytes`);
      else if (Object.hasOwn(fields, part.fieldname))
        throw new IsolambdaError('bad_request', `the part ${part.fieldname} came twice`);
      else fields[part.fieldname] = part.value;
    }
  } catch (error) {
    // Parts that nobody reads would hold the rest of the form, and with it the connection, for ever.
    request.raw.unpipe();
    request.raw.resume();
    throw formError(error);
  }
  if (!archive) throw new IsolambdaError('bad_request', 'the part "archive" is missing: it holds the zip');
  return { archive, ...checked(fields) };
}

/** The form's parser throws plain errors at a form that is cut off, or has no boundary: those are the client's. */
function formError(error: unknown): unknown {
  const known = error instanceof IsolambdaError || !(error instanceof Error) || 'statusCode' in error;
  return known
    ? error
    : new IsolambdaError('bad_request', `the form can't be read: ${error.message.slice(0, 200)}`);
}

async function archiveOf(read: Promise<Buffer>, archiveBytes: number): Promise<Uint8Array> {
  try {
    return await read;
  } catch (error) {
    if ((error as { code?: unknown }).code === 'FST_REQ_FILE_TOO_LARGE') throw tooLarge(archiveBytes);
    throw error;
  }
}

function checked(fields: Readonly<Record<string, unknown>>): Omit<ReceivedUpload, 'archive'> {
  const { parameters, deploy_parameters: deploy } = fields;
  return {
    parameters: parameters === undefined ? {} : checkParameters(json(parameters, 'parameters'), 'parameters'),
    deployParameters:
      deploy === undefined
        ? undefined
        : checkDeployParameters(json(deploy, 'deploy_parameters'), 'deploy_parameters'),
  };
}

/** A part of the type application/json was parsed on its way in. */
function json(given: unknown, where: string): unknown {
  if (typeof given !== 'string') return given;
  try {
    return JSON.parse(given) as unknown;
  } catch (error) {
    throw new IsolambdaError(
      'bad_request',
      `${where}: is not JSON: ${(error as SyntaxError).message.slice(0, 200)}`,
    );
  }
}

async function readBytes(stream: Readable, limit: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes > limit) break;
    chunks.push(chunk);
  }
  if (bytes > limit) {
    // The rest is read and dropped, so that its sender gets the reply; the request's deadline ends that.
    // Only now: while the loop listens, the stream would not flow.
    stream.resume();
    throw tooLarge(limit);
  }
  return Buffer.concat(chunks, bytes);
}

const tooLarge = (limit: number): IsolambdaError =>
  new IsolambdaError('archive_too_large', `the archive is larger than archive_bytes, ${limit} bytes`);
