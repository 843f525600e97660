// Starts Swagger UI on our own document; try-outs go to this server alone.
SwaggerUIBundle({ url: '/api/openapi.json', dom_id: '#swagger-ui', validatorUrl: null });
