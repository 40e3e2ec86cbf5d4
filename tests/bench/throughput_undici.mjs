// node throughput_undici.mjs URL JOBS AT_ONCE: so many workers over one pool of connections. Nothing is durable.
import { createRequire } from 'node:module'
const { Pool } = createRequire(process.env.UNDICI_FROM ?? import.meta.url)('undici')

const [url, jobs, atOnce] = [new URL(process.argv[2]), Number(process.argv[3]), Number(process.argv[4])]
const pool = new Pool(url.origin, { connections: atOnce })
const headers = { authorization: 'Bearer bench', 'content-type': 'application/json' }
let next = 0

async function work() {
  while (next < jobs) {
    const body = JSON.stringify({ topic: `number ${next++}`, words: '40' })
    const reply = await pool.request({ path: url.pathname, method: 'POST', headers, body })
    if (!(await reply.body.json()).success) throw new Error('no success')
  }
}

await Promise.all(Array.from({ length: atOnce }, work))
await pool.close()
