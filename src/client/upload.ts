import type { DeployParameters, LambdaParameters } from '../schemas/lambda.ts';
import { bytesOf } from './transport.ts';

export interface UploadCall {
  /** A zip. */
  readonly archive: Uint8Array | ArrayBuffer | Blob;
  readonly parameters?: LambdaParameters | undefined;
  readonly deployParameters?: DeployParameters | undefined;
  readonly accountId?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
}

/** The multipart form of an upload. The small parts come first, so that the host can refuse before it has read the archive. */
export function uploadForm({ archive, parameters, deployParameters }: UploadCall): FormData {
  const form = new FormData();
  if (parameters !== undefined) form.append('parameters', JSON.stringify(parameters));
  if (deployParameters !== undefined) form.append('deploy_parameters', JSON.stringify(deployParameters));
  const part = archive instanceof Blob || archive instanceof ArrayBuffer ? archive : bytesOf(archive);
  form.append('archive', new Blob([part], { type: 'application/zip' }), 'archive.zip');
  return form;
}
