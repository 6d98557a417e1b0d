// pg-boss with the work of queueing_peers.py:
//
//   node peer.mjs FOLDER send URL          a job for each line of stdin, which is its source
//   node peer.mjs FOLDER work URL BATCH    says "ready", waits for a line, works until no job is left, says how many
//
// FOLDER is where 'npm ci' has put pg-boss. A worker fetches and completes by itself and waits for no timer, and commits
// the effects of what it fetched at once: that is the quickest way there is to work with it.
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'

const [folder, what, url, batch] = process.argv.slice(2)
const require = createRequire(join(folder, 'package.json'))
const { PgBoss } = await import(pathToFileURL(require.resolve('pg-boss')))
const { Client } = require('pg')

const QUEUE = 'bench'
const PAUSE = 2 // milliseconds
const LEFT = `SELECT EXISTS (SELECT 1 FROM pgboss.job WHERE name = '${QUEUE}' AND state < 'completed') AS left`
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()

const isFirst = what === 'send'
const boss = new PgBoss({
  connectionString: url, max: 1, supervise: false, schedule: false, migrate: isFirst, createSchema: isFirst
})
boss.on('error', (error) => { throw error })
await boss.start()
await (isFirst ? send() : work())
await boss.stop({ graceful: false })
process.exit(0)

async function send () {
  await boss.createQueue(QUEUE, { policy: 'key_strict_fifo', retryLimit: 0 })
  let event = 0
  for (let line = await lines.next(); !line.done; line = await lines.next()) {
    await boss.send(QUEUE, { event }, { singletonKey: line.value })
    event += 1
  }
}

async function work () {
  const client = new Client({ connectionString: url })
  await client.connect()
  await boss.getQueue(QUEUE) // both are connected
  console.log('ready')
  await lines.next()
  let done = 0
  while (true) {
    const jobs = await boss.fetch(QUEUE, { batchSize: Number(batch) })
    if (jobs.length > 0) {
      if (jobs.length > 1) await client.query('BEGIN')
      for (const job of jobs) {
        await client.query({ name: 'effect', text: 'INSERT INTO effect (event) VALUES ($1)', values: [job.data.event] })
      }
      if (jobs.length > 1) await client.query('COMMIT')
      await boss.complete(QUEUE, jobs.map((job) => job.id))
      done += jobs.length
    } else if ((await client.query(LEFT)).rows[0].left) {
      await sleep(PAUSE)
    } else {
      break
    }
  }
  console.log(done)
  await client.end()
}
