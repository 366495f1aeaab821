// The interactive page of the API: only where scripts run; the table above it needs none.
const place = document.querySelector("[data-swagger]");
if (place && window.SwaggerUIBundle) {
  place.hidden = false;
  window.SwaggerUIBundle({
    url: place.dataset.swagger,
    domNode: document.getElementById("swagger"),
    deepLinking: false,
    docExpansion: "list",
    defaultModelsExpandDepth: 0,
    validatorUrl: null,
  });
}
