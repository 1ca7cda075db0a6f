// The API, from its OpenAPI document.
const add = (parent, tag, text) => {
  const made = document.createElement(tag);
  made.textContent = text;
  parent.append(made);
  return made;
};
const api = await (await fetch("/openapi.json")).json();
const place = document.getElementById("left");
for (const [path, methods] of Object.entries(api.paths)) {
  for (const [method, operation] of Object.entries(methods)) {
    add(place, "h2", `${method.toUpperCase()} ${path}`);
    add(place, "p", `${operation.summary} Gives ${operation.responses["200"].description}.`);
    const fields = operation.requestBody?.content["application/json"]?.schema.properties ?? {};
    const rows = [
      ...operation.parameters.map((one) => [one.name, one.in, ""]),
      ...Object.entries(fields).map(([name, one]) => [name, one.type, one.description]),
    ];
    if (!rows.length) continue;
    const table = add(place, "table", "");
    for (const row of rows) {
      const line = add(table, "tr", "");
      for (const cell of row) add(line, "td", cell);
    }
  }
}
