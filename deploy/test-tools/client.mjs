// A client of the API that is made of its OpenAPI document, in the shape of the vendor's SDK:
// `leads.create(fields, { idempotencyKey })`. Paths, methods and where a parameter goes are the document's; nothing but the
// names of operations is written here.

const methods = ['get', 'put', 'post', 'patch', 'delete'];

export class APIError extends Error {
  constructor(status, body) {
    super(`${status} ${body?.errors?.map((e) => e.code).join(', ') ?? 'without an envelope'}`);
    this.status = status;
    this.errors = body?.errors ?? [];
    this.requestId = body?.meta?.requestId;
  }
}

export class Client {
  #base;
  #key;
  #operations = new Map();

  constructor({ baseUrl, apiKey, document }) {
    this.#base = baseUrl;
    this.#key = apiKey;
    for (const [path, item] of Object.entries(document.paths)) {
      for (const method of methods.filter((m) => item[m])) {
        const operation = item[method];
        const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])].map((p) => resolve(document, p));
        this.#operations.set(operation.operationId, { path, method: method.toUpperCase(), parameters, operation });
      }
    }
    this.leads = {
      create: (fields, options) => this.call('createLead', options, fields),
      list: (options) => this.call('listLeads', options),
      get: (id) => this.call('getLead', { id }),
      update: (id, fields, options) => this.call('updateLead', { id, ...options }, fields),
      setStage: (id, stageId, options) => this.call('setLeadStage', { id, ...options }, { stageId }),
    };
    this.webhooks = {
      create: (fields) => this.call('createSubscription', {}, fields),
      list: () => this.call('listSubscriptions'),
      delete: (id) => this.call('deleteSubscription', { id }),
    };
  }

  async call(operationId, options = {}, body = undefined) {
    const found = this.#operations.get(operationId);
    if (!found) throw new Error(`the document has no operation ${operationId}`);
    let path = found.path;
    const query = new URLSearchParams();
    const headers = { accept: 'application/json', authorization: `Bearer ${this.#key}` };
    const given = new Map(Object.entries(options));
    for (const p of found.parameters) {
      const name = optionOf(p.name);
      if (!given.has(name)) {
        if (p.required) throw new Error(`${operationId} needs ${name}`);
        continue;
      }
      const value = String(given.get(name));
      given.delete(name);
      if (p.in === 'path') path = path.replace(`{${p.name}}`, encodeURIComponent(value));
      if (p.in === 'query') query.set(p.name, value);
      if (p.in === 'header') headers[p.name.toLowerCase()] = value;
    }
    if (given.size > 0) throw new Error(`${operationId} does not take ${[...given.keys()].join(', ')}`);
    if (body !== undefined) {
      if (!found.operation.requestBody) throw new Error(`${operationId} takes no body`);
      headers['content-type'] = 'application/json';
    }
    const url = this.#base + path + (query.size > 0 ? `?${query}` : '');
    const response = await fetch(url, { method: found.method, headers, body: body && JSON.stringify(body), signal: AbortSignal.timeout(20_000) });
    const text = await response.text();
    const answer = text ? JSON.parse(text) : undefined;
    if (!response.ok) throw new APIError(response.status, answer);
    if (!found.operation.responses[response.status]) throw new Error(`${operationId} answered ${response.status}, which the document does not have`);
    return { ...answer, status: response.status, headers: response.headers };
  }
}

// Idempotency-Key is idempotencyKey.
const optionOf = (name) => name.replace(/-?([A-Z])|-(.)/g, (_, upper, rest, at) => (at === 0 ? upper.toLowerCase() : (upper ?? rest).toUpperCase()));

function resolve(document, node) {
  if (!node.$ref) return node;
  return node.$ref.replace('#/', '').split('/').reduce((at, name) => at[name], document);
}
