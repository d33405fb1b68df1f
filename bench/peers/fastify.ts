/** The peer that has no walls: Fastify as its users start it, parsing JSON and giving it back. Prints its origin. */
import { fastify } from 'fastify';

const app = fastify({ bodyLimit: 16 * 1024 * 1024 });
app.post('/', async (request) => request.body);
console.log(await app.listen({ host: '127.0.0.1', port: 0 }));
