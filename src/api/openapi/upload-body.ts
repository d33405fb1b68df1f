import { Type } from 'typebox';
import { closed, DeployParameters, forAccount, LambdaParameters, ref } from '../../schemas/index.ts';

/** Body of an upload, for the reference: Fastify leaves multipart forms to the handler. */
export interface DocumentedBody {
  readonly description: string;
  readonly content: Readonly<Record<string, { readonly schema: object }>>;
}

const ZIP = {
  type: 'string',
  format: 'binary',
  description: 'A zip with lambda_main.ts or .js at its root.',
};

export const UPLOAD_BODY: DocumentedBody = {
  description:
    'A form with the archive and its parameters, or the zip itself with the parameters in the query.',
  content: {
    'multipart/form-data': {
      schema: {
        type: 'object',
        required: ['archive'],
        properties: {
          parameters: ref(LambdaParameters),
          deploy_parameters: ref(DeployParameters),
          archive: ZIP,
        },
      },
    },
    'application/zip': { schema: ZIP },
  },
};

const JSON_TEXT_BYTES = 8_192;
/** With a zip as the whole body, the parameters stand in the query. */
export const UploadQuery = closed({
  parameters: Type.Optional(
    Type.String({ maxLength: JSON_TEXT_BYTES, description: 'LambdaParameters as JSON, beside a zip body.' }),
  ),
  deploy_parameters: Type.Optional(
    Type.String({ maxLength: JSON_TEXT_BYTES, description: 'DeployParameters as JSON, beside a zip body.' }),
  ),
  ...forAccount,
});
