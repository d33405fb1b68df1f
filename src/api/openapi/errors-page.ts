/** `/docs/errors`: what each code means, where the `link` of an error body leads. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { errorReference, INTRODUCTION } from '../../errors/reference.ts';

export const errorsPage: FastifyPluginAsyncTypebox = async (app) => {
  const page = errorsHtml();
  app.get('/docs/errors', { schema: { hide: true } }, async (_request, reply) =>
    reply
      .type('text/html; charset=utf-8')
      .header('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'")
      .send(page),
  );
};

export function errorsHtml(): string {
  const rows = errorReference().flatMap(({ code, causes }) =>
    causes.map(
      ({ name, status, desc, mend }, index) =>
        `<tr${index === 0 ? ` id="${code}"` : ''}><td>${code}<td>${status}<td><code>${name}</code><td>${html(desc)}<td>${html(mend)}</tr>`,
    ),
  );
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>isolambda: errors</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
td, th { border-bottom: 1px solid #8884; padding: .4rem .6rem; text-align: left; vertical-align: top; }
tr:target { background: #fd06; }
@media (prefers-color-scheme: dark) { body { background: #111; color: #eee; } }
</style>
<h1>Errors</h1>
<p>${html(INTRODUCTION).replaceAll(/`([^`]+)`/g, '<code>$1</code>')}</p>
<table>
<thead><tr><th>code<th>HTTP status<th>name<th>meaning<th>mend</tr></thead>
<tbody>
${rows.join('\n')}
</tbody>
</table>
</html>
`;
}

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const html = (text: string): string => text.replaceAll(/[&<>"]/g, (character) => ESCAPES[character]!);
